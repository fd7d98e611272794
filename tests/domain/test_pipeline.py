"""Every complaint about a pipeline, one by one: the TOML, the place, a piece of the message."""

from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from vtid.domain.pipeline import Deliver, Pipeline, check, freeze, holds, parse
from vtid.domain.step import VALUE, Port, StepSpec
from vtid.errors import InvalidInput, PipelineError


class CleanParams(Struct):
    radius: Annotated[int, Meta(ge=1, le=50)] = 5
    detector: str = "auto"


class DubParams(Struct):
    model: str
    radius: int = 1


class NoParams(Struct):
    pass


def spec(name: str, params: type[Struct], inputs: dict[str, str], outputs: dict[str, str]) -> StepSpec:
    """`{"audio": "audio?"}` is an optional input."""
    return StepSpec(
        name=name,
        plugin=name.partition(".")[0],
        help="",
        params=params,
        inputs=tuple(Port(n, k.rstrip("?"), required=not k.endswith("?")) for n, k in inputs.items()),
        outputs=tuple(Port(n, k) for n, k in outputs.items()),
    )


SPECS = {
    s.name: s
    for s in (
        spec("local.clean", CleanParams, {"video": "video"}, {"video": "video", "found": VALUE}),
        spec("sync.dub", DubParams, {"video": "video", "audio": "audio?"}, {"video": "video"}),
        spec("tool.extract", NoParams, {"video": "video"}, {"audio": "audio"}),
        spec("tool.report", NoParams, {"found": VALUE, "any": "file?"}, {"text": "subtitles"}),
    )
}


def pipeline(body: str) -> Pipeline:
    return parse(f'[pipeline]\nname = "p"\n{body}', file="p.toml")


# --- words and facts


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('[[step]]\nid="c"\nuses="local.clean"\nfails="it broke"', "step.c.fails: must say {reason}"),
        ('[[step]]\nid="c"\nuses="local.clean"\n[[deliver]]\nfrom="c.video"\nsays={d="x"}', 'no step with id "d"'),
        ('[[step]]\nid="c"\nuses="local.clean"', ""),
    ],
)
def test_a_pipelines_own_words(body: str, words: str) -> None:
    assert words in "\n".join(str(p) for p in check(pipeline(body), SPECS))


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("c.found", ""),
        ("c.lost", 'no output "lost"'),
        ("c.video", "takes value, but c.video is video"),
        ("x", "reference"),
    ],
)
def test_facts_for_the_jobs_metadata(ref: str, words: str) -> None:
    text = f'[pipeline]\nname="p"\nmetadata={{ seen = "{ref}" }}\n[[step]]\nid="c"\nuses="local.clean"'
    found = parse(text, file="p.toml")
    problems = [str(p) for p in check(found, SPECS)]
    assert words in "\n".join(problems)
    assert bool(problems) is bool(words)
    if not words:
        assert found.facts("c", {"found": 3}) == {"seen": 3}
        assert found.facts("d", {"found": 3}) == found.facts("c", {}) == {}


# --- inputs that take many


GATHER = StepSpec("many.gather", "many", "", NoParams, (Port("audios", "audio", many=True),), (Port("video", "video"),))


def many(inputs: str) -> list[str]:
    body = f'[[step]]\nid="g"\nuses="many.gather"\n{inputs}\n[[step]]\nid="c"\nuses="local.clean"\n'
    return [str(p) for p in check(pipeline(body), SPECS | {GATHER.name: GATHER})]


def test_an_input_that_takes_many_is_wired_to_all_of_its_kind() -> None:
    assert many("") == []
    frozen, _ = freeze(pipeline('[[step]]\nid="g"\nuses="many.gather"'), {GATHER.name: GATHER}, {})
    assert frozen.steps[0].inputs == {"audios": ["source.audio_*"]}
    assert frozen.sources() == {"audio_*"}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ('inputs = { audios = "source.audio_*" }', ""),
        ('inputs = { audios = ["source.audio", "source.voice_*"] }', ""),
        ('inputs = { audios = "source.video_*" }', "takes audio, but source.video_* is video"),
        ('inputs = { audios = "other.audio_*" }', '"other.audio_*" names several files'),
    ],
)
def test_references_to_many(inputs: str, words: str) -> None:
    assert words in "\n".join(many(inputs))
    assert bool(many(inputs)) is bool(words)


def test_an_input_that_takes_one_is_given_one() -> None:
    body = pipeline('[[step]]\nid="c"\nuses="local.clean"\ninputs={ video = "source.video_*" }')
    assert "that is for sources, and inputs that take many" in str(check(body, SPECS)[0])


# --- parse


def test_a_whole_pipeline_is_read() -> None:
    text = """
        [pipeline]
        name = "dub-and-clean"
        title = "Dub, then clean"
        [params.effects]
        default = true
        [[step]]
        id = "dub"
        uses = "sync.dub"
        inputs = { video = "source.video", audio = "source.audio" }
        with = { model = "m" }
        progress = [10, 60]
        [[step]]
        id = "clean"
        uses = "local.clean"
        inputs = { video = "dub.video" }
        when = "job.effects"
        retries = 2
        [[deliver]]
        from = ["clean.video", "dub.video"]
    """
    read = parse(text, file="x.toml")
    assert read.title == "Dub, then clean"
    assert read.step("dub").with_ == {"model": "m"}
    assert read.step("nothing") is None
    assert read.dependencies() == {"dub": set(), "clean": {"dub"}}
    assert read.sources() == {"video", "audio"}
    assert read.deliver[0].references == ["clean.video", "dub.video"]
    assert check(read, SPECS) == []


STEP = '[[step]]\nid = "a"\nuses = "local.clean"\n'
HEAD = '[pipeline]\nname = "p"\n'

PARSE = [
    ("[pipeline", "", "not valid TOML"),
    (f'{HEAD}{STEP}[[steps]]\nid = "b"', "steps", 'unknown table; did you mean "step"?'),
    (f"{HEAD}{STEP}[zebra]", "zebra", "a pipeline has [pipeline], [params]"),
    (STEP, "pipeline", "missing required field `name`"),
    (f"pipeline = 3\n{STEP}", "pipeline", "must be a table"),
    (f'[pipeline]\nname = "Big Name"\n{STEP}', "pipeline.name", '"Big Name" must be lower-case'),
    (f'[pipeline]\nname = "p"\ntitel = "x"\n{STEP}', "pipeline.titel", 'unknown key; did you mean "title"?'),
    (f"{HEAD}{STEP}zzz = 1", "step.a.zzz", "unknown key; known: bind, fails, id"),
    (HEAD, "step", "needs at least one [[step]]"),
    (f'{HEAD}[step]\nid = "a"', "step", "write it as [[step]]"),
    (f'{HEAD}[[step]]\nid = "a"', "step.a", "missing required field `uses`"),
    (f'{HEAD}[[step]]\nuses = "x.y"', "step[0]", "missing required field `id`"),
    (f"step = [1]\n{HEAD}", "step[0]", "must be a table"),
    (f"{HEAD}{STEP}retries = -1", "step.a.retries", "must be at least 0"),
    (f'{HEAD}{STEP}on_error = "ignore"', "step.a.on_error", "Invalid enum value 'ignore'"),
    (f"{HEAD}{STEP}progress = [1]", "step.a.progress", "must have at least 2 entries"),
    (f"{HEAD}{STEP}timeout = 0", "step.a.timeout", "must be more than 0"),
    (f"params = 3\n{HEAD}{STEP}", "params", "must be a table"),
    (f"{HEAD}{STEP}[params]\nx = 3", "params.x", "must be a table"),
    (f'{HEAD}{STEP}[[deliver]]\nname = "x"', "deliver[0]", "missing required field `from`"),
]


@pytest.mark.parametrize(("text", "field", "message"), PARSE, ids=[m for _, _, m in PARSE])
def test_parse_says(text: str, field: str, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        parse(text, file="p.toml")
    [problem] = caught.value.problems
    assert problem.field == field
    assert message in problem.message
    assert problem.file == "p.toml"


def test_parse_says_everything_at_once() -> None:
    with pytest.raises(PipelineError) as caught:
        parse('[pipeline]\nname = "A"\ntitel = "x"\n[[step]]\nid = "a"\nretries = -1\nuse = "b"', file="p.toml")
    fields = [p.field for p in caught.value.problems]
    assert fields[:2] == ["pipeline.titel", "step.a.use"]
    assert "pipeline.name" in fields


# --- check

STEP_B = STEP.replace('"a"', '"b"')
REPORT = '[[step]]\nid = "r"\nuses = "tool.report"\n'

CHECK = [
    ('[[step]]\nid = "Ä"\nuses = "local.clean"', "step.Ä.id", "cannot be the id of a step"),
    ('[[step]]\nid = "source"\nuses = "local.clean"', "step.source.id", "not source or job"),
    (STEP + STEP, "step.a.id", "two steps have this id"),
    (STEP + "progress = [60, 10]", "step.a.progress", "must rise within 0 and 100"),
    (STEP + "progress = [60, 110]", "step.a.progress", "must rise within 0 and 100"),
    ('[[step]]\nid = "a"\nuses = "local.claen"', "step.a.uses", 'no step "local.claen"; did you mean "local.clean"?'),
    ('[[step]]\nid = "a"\nuses = "x"', "step.a.uses", "known steps: local.clean, sync.dub"),
    (STEP + "with = { radios = 3 }", "step.a.with.radios", 'has no such param; did you mean "radius"?'),
    (STEP + "with = { qqq = 3 }", "step.a.with.qqq", "it takes: detector, radius"),
    (STEP + "with = { radius = 99 }", "step.a.with.radius", "must be at most 50"),
    (STEP + 'bind = { radios = "job.x" }', "step.a.bind.radios", 'no such param; did you mean "radius"?'),
    (STEP + 'bind = { radius = "source.x" }', "step.a.bind.radius", 'must be "job.NAME", not "source.x"'),
    (STEP + 'inputs = { vidoe = "source.video" }', "step.a.inputs.vidoe", 'did you mean "video"?'),
    (STEP + 'inputs = { qqq = "source.video" }', "step.a.inputs.qqq", "it takes: video"),
    (STEP + 'inputs = { video = "video" }', "step.a.inputs.video", '"video" is not a reference'),
    (STEP + 'inputs = { video = "source.audio" }', "step.a.inputs.video", "takes video, but source.audio is audio"),
    (STEP + 'inputs = { video = "b.video" }', "step.a.inputs.video", 'no step with id "b"'),
    (STEP + 'inputs = { video = "sorce.video" }', "step.a.inputs.video", 'did you mean "source"?'),
    (
        f'{STEP}{STEP_B}inputs = {{ video = "a.vidoe" }}',
        "step.b.inputs.video",
        'local.clean has no output "vidoe"; did you mean "video"?',
    ),
    (
        f'{STEP}{STEP_B}inputs = {{ video = "a.qqq" }}',
        "step.b.inputs.video",
        "it gives: video, found",
    ),
    (
        f'[[step]]\nid = "x"\nuses = "tool.extract"\n{STEP}inputs = {{ video = "x.audio" }}',
        "step.a.inputs.video",
        "takes video, but x.audio is audio",
    ),
    (REPORT, "step.r.inputs.found", "nothing gives a value for this input; name the output of a step"),
    (REPORT + 'inputs = { found = "source.logo" }', "step.r.inputs.found", "a source is a file"),
    (
        f'{STEP}on_error = "continue"\n{STEP_B}inputs = {{ video = "a.video" }}',
        "step.b.inputs.video",
        'everything it names may be skipped; add a fallback such as "source.video"',
    ),
    (
        f'{STEP}when = "source.audio"\n{REPORT}inputs = {{ found = "a.found" }}',
        "step.r.inputs.found",
        "everything it names may be skipped; take away the when",
    ),
    (STEP + 'when = "if x"', "step.a.when", '"if x" is not a condition; write "job.NAME"'),
    (STEP + 'when = "job.x"', "step.a.when", "the job has no param x; declare it as [params.x]"),
    (STEP + 'when = "job.efects"\n[params.effects]', "step.a.when", 'did you mean "effects"?'),
    (STEP + 'when = "job.x == yes"\n[params.x]', "step.a.when", "yes is not a TOML value; put quotes round text"),
    (STEP + 'when = "b.video"', "step.a.when", 'there is no step with id "b"'),
    (
        f'{STEP}inputs = {{ video = "b.video" }}\n{STEP_B}inputs = {{ video = "a.video" }}',
        "step",
        "steps wait for each other:",
    ),
    (STEP + '[[deliver]]\nfrom = "source.video"', "deliver[0].from", "what came in is not a result"),
    (STEP + '[[deliver]]\nfrom = "a.found"', "deliver[0].from", "a.found is a value; only files are delivered"),
    (STEP + '[[deliver]]\nfrom = ["a.video", "b.video"]', "deliver[0].from", 'no step with id "b"'),
]


@pytest.mark.parametrize(("body", "field", "message"), CHECK, ids=[m for _, _, m in CHECK])
def test_check_says(body: str, field: str, message: str) -> None:
    [problem] = check(pipeline(body), SPECS, file="p.toml")
    assert problem.field == field
    assert message in problem.message
    assert problem.file == "p.toml"


RIGHT = {
    "a step's value as a condition": STEP + REPORT + 'inputs = { found = "a.found" }\nwhen = "a.found"',
    "a negated condition": STEP + 'when = "not job.x"\n[params.x]',
    "a condition on a bound param": STEP + 'bind = { radius = "job.r" }\nwhen = "job.r != 3"',
    "a fallback": STEP
    + 'on_error = "continue"\n[[step]]\nid = "b"\nuses = "local.clean"\n'
    + 'inputs = { video = ["a.video", "source.video"] }',
    "a source of a free name": STEP + 'inputs = { video = "source.second" }',
    "any file": STEP + REPORT + 'inputs = { found = "a.found", any = "a.video" }',
    "a required param that may come with the job": '[[step]]\nid = "d"\nuses = "sync.dub"',
    "a required param that is bound": '[[step]]\nid = "d"\nuses = "sync.dub"\nbind = { model = "job.m" }',
}


@pytest.mark.parametrize("body", RIGHT.values(), ids=RIGHT)
def test_check_lets_through(body: str) -> None:
    assert check(pipeline(body), SPECS) == []


def test_a_reference_to_a_step_that_is_unknown_is_complained_of_once() -> None:
    body = '[[step]]\nid = "x"\nuses = "no.thing"\n' + STEP + 'inputs = { video = "x.video" }'
    assert [p.code for p in check(pipeline(body), SPECS)] == ["unknown_step"]


# --- freeze


def test_freezing_writes_everything_out() -> None:
    body = (
        '[[step]]\nid = "d"\nuses = "sync.dub"\nwhen = "job.dub"\nwith = { model = "m" }\n'
        '[[step]]\nid = "c"\nuses = "local.clean"\nbind = { radius = "job.r" }\ntitle = "Cleaning"\n'
        "[params.dub]\ndefault = true\n"
    )
    frozen, params = freeze(pipeline(body), SPECS, {"r": 7, "detector": "fast"})
    dub, clean = frozen.steps
    assert params == {"dub": True, "r": 7}
    assert dub.inputs == {"video": ["source.video"]}
    assert clean.inputs == {"video": ["d.video", "source.video"]}, "d may be skipped"
    assert clean.with_ == {"radius": 7, "detector": "fast"}
    assert not clean.bind
    assert (dub.title, clean.title) == ("d", "Cleaning")
    assert (dub.progress, clean.progress) == ([0.0, 50.0], [50.0, 100.0])
    assert frozen.deliver == (Deliver(["c.video", "d.video"]),)


def test_what_is_said_in_the_pipeline_stays() -> None:
    body = STEP + 'inputs = { video = "source.second" }\nprogress = [5, 95]\n[[deliver]]\nfrom = "a.video"'
    frozen, _ = freeze(pipeline(body), SPECS, {})
    assert frozen.steps[0].inputs == {"video": ["source.second"]}
    assert frozen.steps[0].progress == [5, 95]
    assert frozen.deliver == (Deliver("a.video"),)


def test_without_a_file_nothing_is_delivered() -> None:
    specs = {"v.count": spec("v.count", NoParams, {"video": "video"}, {"n": VALUE})}
    frozen, _ = freeze(pipeline('[[step]]\nid = "a"\nuses = "v.count"'), specs, {})
    assert frozen.deliver == ()


TWO = STEP + '[[step]]\nid = "d"\nuses = "sync.dub"\nwith = { model = "m" }\n'


@pytest.mark.parametrize("params", [{"a.radius": 9}, {"a": {"radius": 9}}], ids=["dotted", "nested"])
def test_a_param_may_name_its_step(params: dict[str, Any]) -> None:
    frozen, _ = freeze(pipeline(TWO), SPECS, params)
    assert [s.with_.get("radius") for s in frozen.steps] == [9, None]


FREEZE = [
    ({"radius": 9}, "radius", "several steps have this param; write a.radius or d.radius"),
    ({"detectr": "x"}, "detectr", 'p has no such param; did you mean "detector"?'),
    ({"qqq": 1}, "qqq", "it takes: detector, model, radius"),
    ({"a.radius": 99}, "a.radius", "must be at most 50"),
    ({"a.qqq": 1}, "a.qqq", "local.clean has no such param"),
    ({"d": {"model": 3}}, "d.model", "must be a text, not a whole number"),
]


@pytest.mark.parametrize(("params", "field", "message"), FREEZE, ids=[m for _, _, m in FREEZE])
def test_freeze_says(params: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        freeze(pipeline(TWO), SPECS, params)
    [problem] = caught.value.problems
    assert problem.field == field
    assert message in problem.message


def test_freeze_says_everything_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        freeze(pipeline(TWO), SPECS, {"radius": 9, "qqq": 1, "a.radius": 0})
    assert [p.field for p in caught.value.problems] == ["radius", "qqq", "a.radius"]


def test_a_required_param_that_never_came() -> None:
    with pytest.raises(InvalidInput, match=r"d\.model: sync\.dub needs this param"):
        freeze(pipeline('[[step]]\nid = "d"\nuses = "sync.dub"\nbind = { model = "job.m" }'), SPECS, {})


# --- holds


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (None, True),
        ("job.yes", True),
        ("not job.yes", False),
        ("job.empty", False),
        ("job.missing", False),
        ("not job.missing", True),
        ('job.word == "x"', True),
        ('job.word=="y"', False),
        ('job.word != "y"', True),
        ('not job.word == "x"', False),
        ("job.number == 3", True),
        ("job.yes == true", True),
        ("a.found", True),
    ],
)
def test_holds(when: str | None, expected: bool) -> None:
    values = {"job.yes": True, "job.empty": [], "job.word": "x", "job.number": 3, "a.found": ["text"]}
    assert holds(when, values) is expected
