"""The least picture that five halvings leave a map of."""

from ldl_fer.errors import InputError

SMALLEST = 32  # pixels


def check_size(image_size: int, network: str) -> None:
    """Raises InputError for pictures that are too small for `network`, as the text calls it."""
    if image_size < SMALLEST:
        raise InputError(
            f"--image_size={image_size} is too small for {network}; {SMALLEST} is the least."
        )
