"""Load a Python file of a test: its own folder comes first on the path of imports, problems name file and line."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from atm.code.locust.recognition import is_locustfile
from atm.code.own_metrics import metrics_of
from atm.code.scenario import CodeScenario, Declarations, Declaring
from atm.dataclass import dataclass
from atm.errors import DataError, Problem
from atm.models.own_metric import OwnMetric
from atm.plan.code_scenarios import CodeFunction

if TYPE_CHECKING:
    from atm.code.locust.locustfile import Locustfile


@dataclass(frozen=True, slots=True)
class CodeModule:
    """A Python file that was loaded."""

    path: Path
    module: ModuleType
    digest: str
    scenarios: dict[str, CodeScenario]
    """Those declared with `@scenario`, by name."""
    settings: dict[str, Any]
    """The fields of the spec that it sets with `test`."""
    data: frozenset[str]
    """Names of the test data that it uses."""
    locustfile: Locustfile | None = None
    """What it declares if it is a locustfile."""
    hooks: tuple[tuple[str, Callable[..., Any]], ...] = ()
    """Those declared with `@hook`: the name of each, and its function."""
    metrics: tuple[OwnMetric, ...] = ()
    """The metrics that it declares, and those that it imports."""

    def function(self, name: str) -> Callable[..., Any]:
        """Return a coroutine function by its name, or that of its scenario. Raises DataError."""
        function = self.scenarios[name].function if name in self.scenarios else getattr(self.module, name, None)
        if function is None:
            names = sorted({*self.scenarios, *_coroutine_functions(self.module)})
            hint = f"It has: {', '.join(names)}" if names else "Write `async def NAME(user): …`"
            raise _problem(f'there is no function "{name}"', "code_not_found", self.path.name, hint)
        place = f"{self.path.name}:{line_of(function)}"
        hint = f"Write `async def {name}(user):`"
        if not inspect.iscoroutinefunction(function):
            raise _problem(f'"{name}" is not a coroutine function', "bad_code", place, hint)
        try:
            inspect.signature(function).bind(None)
        except TypeError:
            what = f'"{name}" cannot be called with one argument, the user'
            raise _problem(what, "bad_code", place, hint) from None
        return function

    def leaving(self, name: str) -> Callable[..., Any] | None:
        """Return what users of a function do at the end of a run."""
        return self.scenarios[name].leave if name in self.scenarios else None

    def close(self) -> None:
        """Do what the file demands after a run."""
        if self.locustfile is not None:
            self.locustfile.end()

    def line(self, name: str) -> int:
        """Return the line of a scenario."""
        return line_of(self.scenarios[name].function)


def load(path: Path) -> CodeModule:
    """Load a file, once for each content of it in this process. Raises DataError with file, line and remedy."""
    path = path.resolve()
    try:
        source = path.read_bytes()
    except OSError as error:
        what = f"the file cannot be read: {error.strerror or error}"
        raise _problem(what, "file_not_read", path.name, "Paths are relative to the directory of the spec") from None
    digest = sha256(source).hexdigest()
    loaded = _loaded.get(path)
    if loaded is None or loaded.digest != digest:
        loaded = _loaded[path] = _load(path, source, digest)
    return loaded


_loaded: dict[Path, CodeModule] = {}


def _load(path: Path, source: bytes, digest: str) -> CodeModule:
    try:
        tree = ast.parse(source, str(path))
    except SyntaxError as error:
        what = error.msg if error.msg.startswith("invalid syntax") else f"invalid syntax: {error.msg}"
        raise _problem(what, "bad_code", f"{path.name}:{error.lineno or 1}") from None
    name = f"atm_code_{path.stem}_{digest[:8]}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    module = module_from_spec(spec)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.modules[name] = module
    try:
        code = compile(tree, str(path), "exec", dont_inherit=True)
        with Declaring() as declarations:
            if is_locustfile(tree):
                return _locustfile(path, tree, code, module, digest, declarations)
            exec(code, vars(module))
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt | DataError):
            raise
        raise import_problem(error, path) from error
    scenarios: dict[str, CodeScenario] = {}
    for scenario in declarations.scenarios:
        if scenario.name in scenarios:
            place = f"{path.name}:{line_of(scenario.function)}"
            hint = "Give one of them another name: `@atm.scenario(name=…)`"
            raise _problem(f'two scenarios are called "{scenario.name}"', "duplicate_name", place, hint)
        scenarios[scenario.name] = scenario
    data, metrics = frozenset(data_in(tree)), metrics_of(module, declarations.metrics)
    hooks = tuple(declarations.hooks)
    return CodeModule(path, module, digest, scenarios, declarations.settings, data, metrics=metrics, hooks=hooks)


def _locustfile(
    path: Path, tree: ast.Module, code: CodeType, module: ModuleType, digest: str, declarations: Declarations
) -> CodeModule:
    # Imported here because other files do not need it.
    from atm.code.locust.loader import load_locustfile, scenarios_of

    file = load_locustfile(path, tree, code, module)
    metrics = metrics_of(module, declarations.metrics)
    return CodeModule(path, module, digest, scenarios_of(file), {}, frozenset(), file, metrics=metrics)


def register(name: str, function: Callable[..., Any]) -> Path:
    """Make a function that is already there a scenario of its file, without loading that again; return the file."""
    path = Path(inspect.getfile(function)).resolve()
    digest = sha256(path.read_bytes()).hexdigest()
    loaded = _loaded.get(path)
    if loaded is None or loaded.digest != digest:
        source = sys.modules[function.__module__]
        metrics = metrics_of(source, [])
        loaded = _loaded[path] = CodeModule(path, source, digest, {}, {}, frozenset(), metrics=metrics)
    loaded.scenarios[name] = CodeScenario(name, function, {})
    return path


def open_function(text: str, directory: Path) -> CodeFunction:
    """Load `FILE.py:FUNCTION`, relative to a directory. Raises DataError."""
    file, colon, function = text.rpartition(":")
    if not colon or not file.endswith(".py") or not function.isidentifier():
        hint = "Write file and function: `code: shop.py:checkout`"
        raise DataError(Problem(f'"{text}" does not name a function in a Python file', "bad_code", hint=hint))
    module = load(directory / file)
    module.function(function)
    return CodeFunction(str(module.path), function, module.digest, module.data, module.metrics)


def import_problem(error: BaseException, path: Path) -> DataError:
    """Return what an exception at the import of a file means: with the last line of it that was executed."""
    line = last_line(error.__traceback__, path)
    place = f"{path.name}:{line}" if line else path.name
    kind = type(error).__name__
    hint = "The file is imported before the run; `python FILE` shows the whole traceback"
    if isinstance(error, ModuleNotFoundError):
        hint = f"Install it into the environment of atm: `pip install {(error.name or '').partition('.')[0]}`"
    return _problem(f"{kind}: {error}" if str(error) else kind, "code_failed", place, hint)


def last_line(traceback: TracebackType | None, path: Path) -> int:
    """Return the line of the innermost frame in a file; 0 if there is none."""
    line = 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def data_in(tree: ast.AST) -> Iterator[str]:
    """Yield each name in a call like `user.data("accounts")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "data":
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def _coroutine_functions(module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        if inspect.iscoroutinefunction(value) and value.__module__ == module.__name__:
            yield name


def line_of(function: Any) -> int:
    """Return the line at which a function begins."""
    return getattr(getattr(inspect.unwrap(function), "__code__", None), "co_firstlineno", 1)


def _problem(what: str, code: str, place: str, hint: str = "") -> DataError:
    return DataError(Problem(what, code, place=place, hint=hint))
