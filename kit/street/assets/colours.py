"""Named colours, red, green and blue in [0, 1], and the weights with which they are drawn."""

COLOURS = {
    "white": (0.84, 0.84, 0.84), "silver": (0.56, 0.58, 0.6), "grey": (0.25, 0.26, 0.28),
    "black": (0.035, 0.035, 0.04), "blue": (0.07, 0.16, 0.38), "red": (0.48, 0.05, 0.06),
    "green": (0.08, 0.26, 0.16), "brown": (0.3, 0.19, 0.12), "beige": (0.62, 0.54, 0.42),
    "yellow": (0.8, 0.58, 0.06), "orange": (0.82, 0.34, 0.05),
}  # fmt: skip
# Weights of the colours of cars, roughly as on real roads.
CAR_COLOURS = {"white": 5, "silver": 4, "grey": 4, "black": 5, "blue": 2, "red": 2, "green": 0.5,
               "brown": 0.5, "beige": 0.7}  # fmt: skip
MACHINE_COLOURS = {"yellow": 3, "orange": 2}
CLOTHES_COLOURS = {name: 1 for name in COLOURS}
# Of buildings and garden walls; the third and fourth are brick.
WALL_COLOURS = (
    (0.70, 0.67, 0.60), (0.62, 0.54, 0.42), (0.42, 0.20, 0.15), (0.36, 0.17, 0.13),
    (0.58, 0.58, 0.57), (0.62, 0.58, 0.40), (0.50, 0.42, 0.37), (0.42, 0.47, 0.50),
    (0.76, 0.75, 0.72), (0.36, 0.34, 0.33), (0.55, 0.57, 0.48),
)  # fmt: skip
TRUCK_COLOURS = {"white": 4, "blue": 2, "red": 2, "green": 1, "grey": 1}
VAN_COLOURS = {"white": 6, "grey": 1, "blue": 1, "yellow": 1}
BUS_COLOURS = {"red": 2, "yellow": 2, "white": 2, "blue": 1, "green": 1}
CONTAINER_COLOURS = {"blue": 2, "brown": 2, "red": 2, "green": 1, "orange": 1}
VEST_COLOURS = {"orange": 2, "yellow": 1}
