"""What data sets and people call the classes, and the one name that stands for each."""

_SYNONYMS = {
    "Neutral": ("neutral", "neutrality", "normal", "ne"),
    "Happy": ("happy", "happiness", "happily", "joy", "ha"),
    "Sad": ("sad", "sadness", "sa"),
    "Surprise": ("surprise", "surprised", "surprising", "su"),
    "Fear": ("fear", "fearful", "afraid", "scared", "fe"),
    "Disgust": ("disgust", "disgusted", "di"),
    "Anger": ("anger", "angry", "an"),
    "Contempt": ("contempt", "contemptuous", "co"),
}
_NAME_OF = {word: name for name, words in _SYNONYMS.items() for word in words}


def one_name(word: str) -> str:
    """The name of an emotion for any of its synonyms, letters in any case ("angry": "Anger").

    Another word is returned in lower case, without the blanks around it.
    """
    word = word.strip().lower()
    return _NAME_OF.get(word, word)
