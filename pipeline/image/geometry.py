"""Sizes: what a picture of a given size becomes under the configured resize mode. Arithmetic alone, no pixels."""

from pipeline.image.config import ImageConfig

__all__ = ["scaled_size", "square_side"]


def scaled_size(width: int, height: int, config: ImageConfig) -> tuple[int, int]:
    """(width, height) in pixels after scaling, before ``center_crop`` cuts and ``border`` pads. Never below one
    pixel."""
    if config.resize_mode == "no":
        return width, height
    by_larger = config.resize_mode in ("keep_ratio_largest", "border")
    reference = max(width, height) if by_larger else min(width, height)
    if reference < config.image_size and not config.upscale:
        return width, height

    def scaled(side: int) -> int:
        return max(1, (2 * side * config.image_size + reference) // (2 * reference))  # rounded half up, in integers

    return scaled(width), scaled(height)


def square_side(width: int, height: int, config: ImageConfig) -> int:
    """Side in pixels of the square that ``center_crop`` or ``border`` makes of a scaled picture; 0 in the other
    modes."""
    if config.resize_mode == "center_crop":
        return min(width, height, config.image_size)
    return config.image_size if config.resize_mode == "border" else 0
