import imagekit.models.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Article",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=50)),
                ("banner_width", models.PositiveIntegerField(default=300)),
                ("photo", models.ImageField(upload_to="articles")),
                ("cover", imagekit.models.fields.ProcessedImageField(blank=True, upload_to="covers")),
            ],
        ),
    ]
