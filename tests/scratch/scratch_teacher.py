"""A new teacher: the mean colour of every cell of 16 x 16 pixels, through random weights."""

from torch import nn

from kit.teacher.teacher import Teacher


class ColourTeacher(Teacher):
    """Features of image cells from their mean colour."""

    def __init__(self, image_size: tuple[int, int] = (224, 448)):
        network = nn.Conv2d(3, 8, 16, stride=16)
        nn.init.constant_(network.weight, 1 / 256)
        nn.init.zeros_(network.bias)
        super().__init__("colour", network, 8, image_size, mean=(0.5,) * 3, std=(0.25,) * 3)

    def maps(self, normalised):
        return [self.network(normalised)]

    def choices(self) -> str:
        return f"colour {self.image_size}"
