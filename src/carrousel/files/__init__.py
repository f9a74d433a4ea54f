"""Files: atomic writes, locks, and safetensors files with a header and a checksum of ours."""

from __future__ import annotations

from carrousel.files.lock import held as held
from carrousel.files.safetensors import checksum as checksum
from carrousel.files.safetensors import header_key as header_key
from carrousel.files.safetensors import read_whole as read_whole
from carrousel.files.same import check_distinct as check_distinct
from carrousel.files.same import same_file as same_file
from carrousel.files.write import replaced as replaced
from carrousel.files.write import write_whole as write_whole
