"""What data sets that a test makes by hand have in common."""


class ByHand:
    """A data set without files; the subclass has `tokens`, `scenes` and `__getitem__`."""

    name = "by hand"

    def prepare(self, keyframes=None):
        """Nothing has to be computed."""

    def content(self):
        return ""

    def __len__(self):
        return len(self.tokens)
