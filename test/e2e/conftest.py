import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "whole: only where the whole of a part is asked for, as by `tools/dev/test models`")
