from club.models import Member
from django.core.management import BaseCommand


class Command(BaseCommand):
    def handle(self, *args, **options):
        for member in Member.objects.exclude(photo=""):
            self.stdout.write(f"{member.name}: {member.card().width}")
