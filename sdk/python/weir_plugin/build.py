"""From a module to a component: writes the world that it is built for and the module that faces it, and
hands both to componentize-py. ``python -m weir_plugin.build --help`` says how."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Sequence

#: What pip is asked for.
TOOL = "componentize-py==0.25.1"
IMPORTS = ("clock", "random", "maps", "counters")

#: The functions of each role. An interface `a-b` is exported by a class `AB`.
ROLES = {
    "connection-filter": ("on_connection",),
    "request-filter": ("on_request",),
    "response-filter": ("on_response",),
    "balancer": ("update", "pick"),
    "balancer-ahead": ("picks",),
    "balancer-feedback": ("observe",),
    "persistence": ("lookup", "assigned"),
}


def world(roles: Sequence[str], imports: Sequence[str], version: str) -> str:
    """What the component exports and imports, and nothing that it does not."""
    lines = [f"  import weir:plugin/{name}@{version};" for name in ("types", "log", *imports)]
    lines += [f"  export weir:plugin/{name}@{version};" for name in ("lifecycle", *roles)]
    return "package weir:built;\n\nworld plugin {\n" + "\n".join(lines) + "\n}\n"


def entry(module: str, name: str, roles: Sequence[str]) -> str:
    """The module that the component is made of."""
    text = [
        f"from {module} import {name}",
        "from weir_plugin.component import Exports, connect",
        "",
        "_exports = Exports(" + name + "())",
        "",
        "",
        "class Lifecycle:",
        "    def describe(self):",
        "        return _exports.describe()",
        "",
        "    def configure(self, config):",
        "        connect()",
        "        return _exports.configure(config)",
    ]
    for role in roles:
        text += ["", "", f"class {role.title().replace('-', '')}:"]
        for function in ROLES[role]:
            text += [
                f"    def {function}(self, *given):",
                f"        return _exports.{function}(*given)",
                "",
            ]
    return "\n".join(text).rstrip() + "\n"


def contract() -> Path:
    """The folder of the contract: beside the SDK, or in the checkout of Weir that either of the two lies in."""
    here = Path(__file__).resolve().parent
    folders = [here / "wit", here.parent / "wit"]
    above = [*here.parents, Path.cwd(), *Path.cwd().parents]
    folders += [folder / "wit/v0.1" for folder in above]
    for folder in folders:
        if (folder / "weir-plugin.wit").exists():
            return folder
    raise SystemExit(
        f"error: the contract, weir-plugin.wit, is neither in {folders[0]} nor in a folder wit/v0.1 above here"
    )


def contract_version() -> str:
    """What the contract calls its version."""
    text = (contract() / "weir-plugin.wit").read_text()
    named = re.search(r"^package weir:plugin@([^;]+);", text, re.MULTILINE)
    if named is None:
        raise SystemExit(f"error: {contract()}/weir-plugin.wit names no package weir:plugin")
    return named[1]


def build(
    source: Path, name: str, roles: Sequence[str], imports: Sequence[str], output: Path
) -> None:
    """Raises ``subprocess.CalledProcessError`` if componentize-py fails; it has said why."""
    with tempfile.TemporaryDirectory(prefix="weir-plugin-") as temporary:
        folder = Path(temporary)
        dependency = folder / "wit/deps/weir-plugin"
        dependency.mkdir(parents=True)
        (folder / "wit/world.wit").write_text(world(roles, imports, contract_version()))
        for file in contract().glob("*.wit"):
            shutil.copy(file, dependency)
        (folder / "app").mkdir()
        (folder / "app/weir_entry.py").write_text(entry(source.stem, name, roles))
        # What lies beside the source can be imported; both are copied, so that nothing else is looked at.
        shutil.copytree(source.resolve().parent, folder / "source", ignore=_not_sources)
        shutil.copytree(Path(__file__).parent, folder / "sdk/weir_plugin", ignore=_not_in_components)
        paths = [folder / "app", folder / "source", folder / "sdk"]
        # Nothing of WASI: what a plugin may have, the proxy's own interfaces give.
        command: list[str | Path] = [_componentize(), "-d", folder / "wit", "-w", "plugin"]
        command += ["componentize", "--stub-wasi", "-o", output]
        for path in paths:
            command += ["-p", path]
        subprocess.run([*command, "weir_entry"], check=True, stdout=subprocess.DEVNULL)


def _not_sources(_folder: str, names: list[str]) -> set[str]:
    """Environments, tests, what tools leave behind; and the SDK, which comes by itself."""
    other = {"__pycache__", "weir_plugin", "tests", "venv"}
    return {name for name in names if name in other or name.startswith(".") or name.endswith(".wasm")}


def _not_in_components(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in {"build.py", "testing.py", "wit", "__pycache__"}}


def _componentize() -> str:
    """The tool of the environment that this runs in, or the one on the path."""
    beside = Path(sys.executable).with_name("componentize-py")
    found = str(beside) if beside.exists() else shutil.which("componentize-py")
    if found is None:
        raise SystemExit(f"error: componentize-py is missing: pip install {TOOL}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="weir-plugin-build", description="Makes a component of a plugin in Python."
    )
    parser.add_argument("source", help="FILE.py:CLASS, a class derived from weir_plugin's")
    parser.add_argument(
        "--role", action="append", required=True, choices=ROLES, help="what the component exports"
    )
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        choices=IMPORTS,
        help="what weir.toml has to grant",
    )
    parser.add_argument("-o", "--output", type=Path, help="the component; FILE.wasm if left out")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    asked = parser.parse_args()
    file, _, name = asked.source.partition(":")
    source = Path(file)
    if not name or not source.exists():
        parser.error(f"{asked.source}: write FILE.py:CLASS, with a file that is there")
    output = asked.output or Path(source.stem + ".wasm")
    try:
        build(source, name, asked.role, asked.imports, output)
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from None
    if not asked.quiet:
        print(f"{output}: {-(-output.stat().st_size // 1024)} KiB", file=sys.stderr)


if __name__ == "__main__":
    main()
