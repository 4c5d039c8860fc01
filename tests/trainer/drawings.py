"""Coloured shapes, painted with Pillow: what the trainer's tests take for pictures."""

from PIL import ImageDraw

__all__ = ["COLOURS", "SHAPES", "paint"]

COLOURS = ("red", "green", "blue", "yellow", "black", "purple", "orange", "gray")
SHAPES = ("circle", "square", "triangle", "cross", "ring", "stripe")


def paint(
    pen: ImageDraw.ImageDraw, shape: str, colour: str, box: tuple[int, int, int, int], line: int, edge: int
) -> None:
    """Paints a shape into ``box`` with lines ``line`` pixels wide; a bar goes from the left to ``edge``."""
    left, top, right, bottom = box
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    elif shape == "triangle":
        pen.polygon([(left, bottom), (right, bottom), (left + (right - left) // 2, top)], fill=colour)
    elif shape == "cross":
        pen.line(box, fill=colour, width=line)
        pen.line((left, bottom, right, top), fill=colour, width=line)
    elif shape == "ring":
        pen.ellipse(box, outline=colour, width=line - 1)
    else:
        pen.rectangle((0, top, edge, top + line + 2), fill=colour)
