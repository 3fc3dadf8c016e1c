"""The one canonical call per kind of question: a tiny model then makes one choice and one copy."""

import re

CLASSES = r"^\s*(abstract |final |export |default )*class\s+\w+|^type \w+ struct"
FUNCTIONS = (
    r"^\s*(export |async |public |private |protected |static )*(def|function|func|fn)\s+[\w(&]"
)
INTERFACES = r"^\s*(export )?(interface|trait)\s+[A-Z]\w*|^type \w+ interface"
TESTS = r"def test_|function test|func Test|\b(it|test)\("
TODOS = "TODO|FIXME|XXX|HACK"
ENVIRONMENT = r"getenv|\benviron\b|process\.env|\benv\("
TEST_FRAMEWORKS = r"pytest|unittest|phpunit|jest|mocha|vitest|testing\.T"
VERSION = r'^\s*"?version"?\s*[:=]'
VERSION_IN_CODE = r"(__version__|VERSION)\b.*[:=]"
INSTALL = r"(pip|npm|yarn|composer|go|apt|make) (install|get|add|require|run|build)"

AUTHORS = "(?i)author|email"
LICENSED = "(?i)licen[cs]e"
DESCRIBED = "(?i)description"
DEPENDENCIES = r'\bdependencies\b|install_requires|"require"|^require \('
RUNTIME = r'requires-python|python_requires|"php"|"node"|^go '
ROUTES = (
    r"Route::|@\w+\.(route|get|post|put|delete)\(|add_url_rule|add_route|\bpath\(['\"]"
    r"|\b(app|router|route|group|mux|server|api|r)\.(get|post|put|patch|delete|all|route|Handle\w*"
    r"|Get|Post|Put|Delete|GET|POST|PUT|DELETE)\("
)
COMMANDS = (
    r"add_parser\(|add_command|@\w*\.?command\b|\.command\(|protected \$signature|AddCommand"
    r"|setName\("
)
DATABASE = r"(?i)\b(mysql|mariadb|pgsql|postgres\w*|sqlite3?|mongo\w*|redis)\b"
ENTRY_POINT = r'scripts|entry_points|"main"|"bin"'

MANIFESTS = "{pyproject.toml,setup.py,setup.cfg,composer.json,package.json,go.mod}"
DOCUMENTS = "*.{md,rst,txt}"
CONFIGURATION = "*.{json,yaml,yml,toml,ini,cfg,env}"
TEST_FILES = "*{test,Test,spec}*"
SOURCES = "*.{py,php,js,ts,go,java,rb,rs,c,cpp}"
TEMPLATES = "*.{html,htm,phtml,tpl,twig,ejs,hbs,mako,blade.php}"
DOCKER = "*{ockerfile,docker-compose,compose.y}*"
CI = "{.github/workflows/*,.gitlab-ci.yml,.travis.yml,Jenkinsfile,azure-pipelines.yml}"
MIGRATIONS = "**/*migration*/**"
README = "README*"
GUIDES = "{README,INSTALL,CONTRIBUTING}*"
LICENSE = "{LICENSE,LICENCE,COPYING}*"
CHANGELOG = "{CHANGELOG,CHANGES,HISTORY,NEWS}*"
TASKS = "{Makefile,package.json,composer.json,tox.ini,noxfile.py,Taskfile.yml,justfile}"

_DEFINERS = "class|interface|trait|enum|struct|type|def|function|func|fn|const|let|var"


def tail(name: str) -> str:
    """The last part of a qualified name: `App\\Http\\Foo`, `Foo::bar`, `foo.bar`, `bar()`, `$x`."""
    return re.split(r"\\|::|->|\.|#", name.removesuffix("()").lstrip("$@-"))[-1]


def literal(text: str) -> str:
    """Text as a pattern: every special character becomes `.`, so copying stays one to one."""
    return re.sub(r'[\\^$|?*+()\[\]{}"]', ".", text)


def define(name: str) -> str:
    if name.isupper():
        return rf"\b{name}\s*[:=]"
    return rf"\b({_DEFINERS})\s+(\(.*\)\s*)?{name}\b"


def usages(name: str) -> str:
    # In brackets, for a tokenizer that would read `b` and a lower-case name as one word.
    return rf"\b({literal(name)})\b"


def subclasses(name: str) -> str:
    return rf"(class|interface)\s+\w+.*[(, .\\]{name}\b"


def importers(module: str) -> str:
    return f"(import|from|require|use|include).*{literal(module)}"


def any_case(text: str) -> str:
    """Words in any case, joined in any way: `retry limit` finds `retryLimit` and `RETRY_LIMIT`."""
    return f"(?i){literal(text).replace(' ', '.?')}"


def words(text: str) -> str:
    """A search in words: `idle session` finds lines with either, those with both first."""
    return "(?i)" + "|".join(re.findall(r"[^\W_]+", text))


def stem(kind: str) -> str:
    """A kind in the plural as its members' names have it: `repositories` -> `repositor`."""
    for ending in ("ies", "sses", "xes", "ches"):
        if kind.endswith(ending):
            return kind[: -len(ending)] + ending[:-2].removesuffix("i")
    return kind.removesuffix("s")


def kind(name: str) -> str:
    return rf"(?i)(class|interface|type) \w*{literal(stem(name))}"
