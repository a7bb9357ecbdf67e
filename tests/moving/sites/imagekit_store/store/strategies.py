class Eager:
    """Make images when their source is saved, and when a page asks for one that is not there."""

    def on_source_saved(self, file):
        file.generate()

    def on_existence_required(self, file):
        file.generate()

    def on_content_required(self, file):
        file.generate()
