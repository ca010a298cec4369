"""A benchmark of the degradation problem of He et al. 2015 (arXiv 1512.03385)."""

import os
import signal
import sys

__version__ = "0.1.0"

if sys.argv[:1] == ["-m"]:  # of `python -m`, which is importing: nothing is begun, nothing to say
    for _number, _code in ((signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGHUP, 75)):
        if signal.getsignal(_number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(_number, lambda *_, code=_code: os._exit(code))
