"""Write src/atm/importers/curl_manual.py: every option of curl, its short letter, and whether it takes a value.

The table comes from `curl --help all` of the installed curl, plus options of later versions from curl's manual, listed
below. Run it by hand when curl has new options; the result is committed.

Usage: python -m tools.curl_manual
"""

from __future__ import annotations

import re
import subprocess

from tools.repository import ROOT

TARGET = ROOT / "src" / "atm" / "importers" / "curl_manual.py"

# Added after 7.88, up to 8.17: with a value, and without one.
LATER_WITH_VALUE = (
    *("ech", "haproxy-clientip", "ip-tos", "ipfs-gateway", "keepalive-cnt", "parallel-max-host"),
    *("sigalgs", "trace-config", "upload-flags", "variable", "vlan-priority"),
)
LATER_FLAGS = (
    *("ca-native", "dump-ca-embed", "follow", "http3-only", "mptcp", "out-null", "proxy-ca-native", "proxy-http2"),
    *("skip-existing", "tls-earlydata", "trace-ids"),
)

_LINE = re.compile(r"^ (?:-(?P<short>\S), |    )--(?P<long>[a-z0-9.-]+)(?P<value> [<[])?")

HEAD = '''"""Every option of curl. Written by tools/curl_manual.py from `curl --help all`; do not edit by hand."""

from __future__ import annotations

'''


def table(manual: str) -> tuple[dict[str, str], set[str], set[str]]:
    """Parse `curl --help all`: short letters to long names, options with a value, and flags."""
    short: dict[str, str] = {}
    with_value: set[str] = set(LATER_WITH_VALUE)
    flags: set[str] = set(LATER_FLAGS)
    for line in manual.splitlines():
        if found := _LINE.match(line):
            if found["short"]:
                short[found["short"]] = found["long"]
            (with_value if found["value"] else flags).add(found["long"])
    return short, with_value, flags - with_value


def main() -> None:
    manual = subprocess.run(["curl", "--help", "all"], capture_output=True, text=True, check=True).stdout
    short, with_value, flags = table(manual)
    lines = [f'    "{letter}": "{name}",' for letter, name in sorted(short.items())]
    text = HEAD + "SHORT = {\n" + "\n".join(lines) + "\n}\n\n"
    text += "WITH_VALUE = frozenset(\n    [\n" + "".join(f'        "{name}",\n' for name in sorted(with_value))
    text += "    ]\n)\n\nFLAGS = frozenset(\n    [\n" + "".join(f'        "{name}",\n' for name in sorted(flags))
    TARGET.write_text(text + "    ]\n)\n", encoding="utf-8")


if __name__ == "__main__":
    main()
