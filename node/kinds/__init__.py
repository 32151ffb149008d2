"""What files are, from their bytes: types, what to mind of them, pictures in small. What looks into bytes
runs in the worker process (finding.py, pictures.py); nothing here reads a file or a letter.
"""

from node.kinds.claims import shown_inline
from node.kinds.finding import MOST_LOOKED, find_all, find_whole
from node.kinds.pictures import FORMATS, MAX_BYTES, MEDIA_TYPE, small_picture
from node.kinds.sample import Looked
from node.kinds.sort import UNKNOWN, Kind, Sort, Want
from node.kinds.telling import Caution, Told, told

__all__ = [
    "FORMATS",
    "MAX_BYTES",
    "MEDIA_TYPE",
    "MOST_LOOKED",
    "UNKNOWN",
    "Caution",
    "Kind",
    "Looked",
    "Sort",
    "Told",
    "Want",
    "find_all",
    "find_whole",
    "shown_inline",
    "small_picture",
    "told",
]
