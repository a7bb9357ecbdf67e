from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Member",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                ("photo", models.ImageField(blank=True, upload_to="members")),
                ("crop_x", models.PositiveSmallIntegerField(default=50)),
                ("crop_y", models.PositiveSmallIntegerField(default=50)),
            ],
        ),
    ]
