"""The rendered videos, decoded again."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

import av
import pytest
from PIL import Image, ImageStat

from airflow_provider_veo3.emulator.video.encoder import Cancelled, render
from airflow_provider_veo3.emulator.video.scene import Script, frames, reduce_upload
from airflow_provider_veo3.emulator.video.store import VideoStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEIGHT = 96


def decode(data: bytes) -> tuple[list[Image.Image], dict[str, Any]]:
    """Return all pictures, and the properties of the file."""
    with av.open(io.BytesIO(data)) as video:
        stream = video.streams.video[0]
        pictures = [frame.to_image() for frame in video.decode(stream)]
        facts = {
            "codec": stream.codec_context.name,
            "format": stream.codec_context.pix_fmt,
            "rate": stream.average_rate,
            "seconds": float(stream.duration * stream.time_base),
            "size": (stream.width, stream.height),
            "audio": [
                (audio.codec_context.name, float(audio.duration * audio.time_base))
                for audio in video.streams.audio
            ],
        }
    return pictures, facts


def loudness(data: bytes) -> float:
    with av.open(io.BytesIO(data)) as video:
        blocks = [bytes(frame.planes[0]) for frame in video.decode(video.streams.audio[0])]
    samples = memoryview(b"".join(blocks)).cast("f")
    return max(abs(sample) for sample in samples)


@pytest.fixture
def script() -> Callable[..., Script]:
    """A script with these differences from a plain one."""

    def made(**changes: Any) -> Script:
        plain = {
            "task_id": "veo_1767225600000_abc123def",
            "index": 0,
            "prompt": "A dragon",
            "model": "veo-3.1-fast-generate-001",
            "seed": 1,
            "seconds": 1,
            "portrait": False,
            "height": HEIGHT,
            "audio": True,
        }
        return Script(**{**plain, **changes})

    return made


@pytest.fixture
def rendered(tmp_path) -> Callable[[Script], bytes]:
    def made(script: Script) -> bytes:
        path = tmp_path / "video.part"
        render(script, path, threading.Event())
        return path.read_bytes()

    return made


def colour(picture: Image.Image) -> list[float]:
    """The mean colour of the upper half, where no caption is."""
    return ImageStat.Stat(
        picture.crop((0, picture.height // 6, picture.width // 2, picture.height // 2))
    ).mean


@pytest.mark.parametrize(
    ("ratio", "size", "seconds", "audio"),
    [("16:9", (170, 96), 5, True), ("9:16", (96, 170), 8, False)],
)
def test_a_video_has_the_requested_size_length_and_sound(start, ratio, size, seconds, audio):
    api = start(height=HEIGHT)
    task_id = api.finished(aspectRatio=ratio, durationSeconds=seconds, generateAudio=audio)
    response = api.get(api.urls(task_id)[0])
    pictures, facts = decode(response.content)
    assert facts == {
        "codec": "h264",
        "format": "yuv420p",
        "rate": 24,
        "seconds": seconds,
        "size": size,
        "audio": [("aac", seconds)] if audio else [],
    }
    assert len(pictures) == seconds * 24
    assert response.content.index(b"moov") < response.content.index(b"mdat")


def test_two_samples_differ(start):
    api = start(height=HEIGHT)
    first, second = (api.get(url) for url in api.urls(api.finished(sampleCount=2, durationSeconds=5)))
    assert first.content != second.content
    assert first.headers["etag"] != second.headers["etag"]


def test_equal_scripts_give_equal_bytes(script, rendered):
    assert rendered(script()) == rendered(script())


@pytest.mark.parametrize("change", [{"prompt": "A cat"}, {"seed": 2}, {"index": 1}])
def test_the_picture_depends_on_prompt_seed_and_sample(script, change):
    plain, other = (next(iter(frames(made))).frame().to_image() for made in (script(), script(**change)))
    assert colour(plain) != colour(other)


def test_the_same_seed_has_the_same_colours_in_another_task(script):
    plain = next(iter(frames(script()))).frame().to_image()
    other = next(iter(frames(script(task_id="veo_1767225600001_zzz123def")))).frame().to_image()
    assert colour(plain) == colour(other)
    assert plain.tobytes() != other.tobytes()


def test_the_picture_moves_and_shows_the_prompt(script):
    pictures = [planes.frame().to_image() for planes in frames(script(height=180))]
    assert colour(pictures[0]) != colour(pictures[-1])
    silent = next(iter(frames(script(height=180, prompt=" ")))).frame().to_image()
    caption = (0, 142, 320, 158)
    white = [
        max(ImageStat.Stat(picture.crop(caption).convert("L")).extrema[0])
        for picture in (pictures[0], silent)
    ]
    assert white[0] > 220 > white[1]


@pytest.mark.parametrize("prompt", ["", "x" * 1000, "word " * 200, "é ü ß 猫 🎬", "line\nbreak"])
@pytest.mark.parametrize("height", [32, 96])
def test_any_prompt_can_be_drawn(script, prompt, height):
    for portrait in (False, True):
        planes = next(iter(frames(script(prompt=prompt, height=height, portrait=portrait))))
        assert planes.size == script(height=height, portrait=portrait).size


def test_sound(script, rendered):
    quiet = rendered(script())
    assert 0.05 < loudness(quiet) < 0.6
    assert loudness(rendered(script(seed=9))) != loudness(quiet)


def saved(tmp_path: Path, name: str, shade: str) -> Path:
    """A reduced upload: a square of one colour on a square of another."""
    image = Image.new("RGB", (400, 300), shade)
    image.paste("white", (180, 130, 220, 170))
    data = io.BytesIO()
    image.save(data, "PNG")
    path = tmp_path / name
    path.write_bytes(reduce_upload(data.getvalue(), HEIGHT, portrait=False)[1])
    return path


def bright(picture: Image.Image) -> int:
    """How large the white square is."""
    upper = picture.crop((40, 20, 130, 60)).convert("L")
    return sum(upper.histogram()[200:])


def test_an_image_is_zoomed_into(script, tmp_path):
    one = script(pictures=(saved(tmp_path, "one", "red"),), prompt=" ")
    pictures = [planes.frame().to_image() for planes in frames(one)]
    for picture in (pictures[0], pictures[-1]):
        red, green, blue = colour(picture)
        assert red > 200
        assert max(green, blue) < 60
    assert bright(pictures[-1]) > bright(pictures[0]) > 0


def test_two_images_are_faded_between(script, tmp_path):
    paths = (saved(tmp_path, "first", "red"), saved(tmp_path, "last", "blue"))
    pictures = [planes.frame().to_image() for planes in frames(script(pictures=paths))]
    (red, _, blue), middle, last = (colour(pictures[number]) for number in (0, 12, 23))
    assert red > 200
    assert blue < 60
    assert 80 < middle[0] < 180
    assert 80 < middle[2] < 180
    assert last[2] > 200
    assert last[0] < 60


def test_uploads_become_videos(start, png):
    api = start(height=HEIGHT)
    ids = [
        response.json()["taskId"]
        for response in (
            api.image(png, durationSeconds="5", generateAudio="false"),
            api.frames(png, png, durationSeconds="5", aspectRatio="9:16"),
        )
    ]
    api.emulator.advance(200)
    first, second = (decode(api.get(api.urls(task_id)[0]).content)[1] for task_id in ids)
    assert (first["size"], first["audio"]) == ((170, 96), [])
    assert (second["size"], second["audio"]) == ((96, 170), [("aac", 5)])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_uploads_are_reduced(kind):
    data = io.BytesIO()
    Image.effect_noise((1000, 1000), 90).save(data, kind)
    found, reduced = reduce_upload(data.getvalue(), HEIGHT, portrait=True)
    assert found == kind
    assert len(reduced) < 30_000
    assert Image.open(io.BytesIO(reduced)).size == (108, 190)


def test_other_images_are_refused():
    data = io.BytesIO()
    Image.new("RGB", (10, 10)).save(data, "GIF")
    with pytest.raises(ValueError, match="JPEG or PNG"):
        reduce_upload(data.getvalue(), HEIGHT, portrait=False)


def test_rendering_can_be_cancelled(script, tmp_path):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        render(script(), tmp_path / "video.mp4", cancelled)


def test_the_cache_renders_once_and_again_after_the_file_is_deleted(script):
    store = VideoStore(cache_bytes=1)
    try:
        first = store.render(script())
        path = first.result()
        data = path.read_bytes()
        assert store.render(script()) is first
        store.render(script(prompt="Another")).result()
        assert not path.exists()
        assert store.render(script()).result().read_bytes() == data
    finally:
        store.close()
    assert not path.parent.exists()
