import sorl.thumbnail.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("picture", "focus", models.CharField(default="50% 50%", max_length=20)),
        migrations.AlterField(
            "picture", "file", sorl.thumbnail.fields.ImageField(upload_to="products/%Y")
        ),
    ]
