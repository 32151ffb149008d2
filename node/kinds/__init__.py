"""What files are, from their bytes: types, what to mind of them, pictures in small. What looks into bytes
runs in the worker process (finding.py, pictures.py); nothing here reads a file or a letter.
"""

from node.kinds.pictures import FORMATS, MAX_BYTES, MEDIA_TYPE, small_picture
from node.kinds.sort import UNKNOWN, Kind, Sort, Want
from node.kinds.telling import Caution, Told, told

__all__ = [
    "FORMATS",
    "MAX_BYTES",
    "MEDIA_TYPE",
    "UNKNOWN",
    "Caution",
    "Kind",
    "Sort",
    "Told",
    "Want",
    "small_picture",
    "told",
]
