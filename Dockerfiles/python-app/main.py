import os
import sys

import words

print(f"{words.count(sys.argv[1])} words, uid {os.getuid()}")
