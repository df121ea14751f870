"""Sound files of all formats: their true length, exact integers, and the right reason where one can't be used."""

import csv
import io
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from mgr_helpers.audio import dataset, mini_set, reading
from mgr_helpers.config import CONFIG
from mgr_helpers.model import evaluate
from tests.stress import audio_files

RATE = CONFIG.sample_rate
ODD = Path(__file__).parent / "odd_files"
LENGTHS = {row["file"]: float(row["seconds_of_sound"]) for row in csv.DictReader((ODD / "manifest.csv").open())}
KINDS = {f"{kind[2]}.{kind[0]}": kind for kind in audio_files.MADE[::-1]}
MP3, FLAC, WAV = (next(kind for kind in audio_files.ENDLESS if kind[0] == name) for name in ("mp3", "flac", "wav"))
SUBTYPES = [("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"), ("WAVEX", "PCM_24"),
            ("RF64", "PCM_16"), ("WAV", "ULAW"), ("WAV", "ALAW"), ("WAV", "FLOAT"), ("WAV", "DOUBLE"), ("AU", "PCM_S8"),
            ("AU", "PCM_16"), ("AU", "PCM_24"), ("AU", "PCM_32"), ("AU", "ULAW"), ("AU", "FLOAT"), ("AIFF", "PCM_16"),
            ("FLAC", "PCM_S8"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24")]


@pytest.fixture
def read(tmp_path):
    """Write bytes to a file, and read it."""
    def read(content, name):
        (tmp_path / name).write_bytes(content)
        return reading.read_audio(tmp_path / name)
    return read


def tone(seconds=4.0, rate=44100, channels=2):
    return audio_files.sound(np.random.default_rng(3), rate, channels, seconds)


def made(kind, seconds=4.0, pipe=False, rate=48000):
    return audio_files.made(tone(seconds, rate), rate, kind, pipe)


def seconds_of(samples):
    return len(samples) / RATE


# --- true lengths
@pytest.mark.parametrize("name", sorted(set(LENGTHS) - {"html.mp3"}))
def test_the_whole_of_an_odd_file_is_read(name):
    assert abs(seconds_of(reading.read_audio(ODD / name)) - LENGTHS[name]) < 0.1


@pytest.mark.parametrize("name", KINDS)
def test_containers_of_ffmpeg(read, name):
    assert abs(seconds_of(read(made(KINDS[name]), name)) - 4) < 0.1


def test_a_flac_that_tells_no_length_is_read(read):
    assert len(read(made(FLAC, pipe=True), "a.flac")) == 4 * RATE


def test_an_mp3_without_a_length_that_begins_with_silence(read):
    """Its first frames are small, so that a length estimated from them is far too large."""
    sound = tone(8.0)
    sound[:5 * 44100] = 0
    assert abs(seconds_of(read(audio_files.made(sound, 44100, MP3, True), "a.mp3")) - 8) < 0.1


def picture_tag(size):
    """An ID3 tag like one with a cover picture: bytes that may look like sound."""
    length = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + length + np.random.default_rng(0).bytes(size)


@pytest.mark.parametrize("between", [b"", b"TAG" + b"x" * 125, picture_tag(90_000)], ids=["", "ID3v1", "picture"])
@pytest.mark.parametrize("kind", [MP3, KINDS["libmp3lame.mp3"]], ids=["no length", "length"])
def test_joined_mp3s_are_read_to_the_end(read, kind, between):
    one = made(kind, pipe=kind is MP3)
    assert abs(seconds_of(read(one + between + one, "a.mp3")) - 8) < 0.1


@pytest.mark.parametrize("rate, channels, depth", [(44100, 2, "PCM_16"), (44100, 2, "PCM_24"), (44100, 1, "PCM_16"),
                                                   (16000, 2, "PCM_16"), (8000, 8, "PCM_24")])
def test_joined_flacs_are_read_to_the_end(read, rate, channels, depth):
    """FFmpeg alone drops a block where rate or channels change, or blocks are large, and stops at another depth."""
    one, two = (audio_files.encoded(tone(4, *form[:2]), form[0], "FLAC", form[2]) for form in (
        (44100, 2, "PCM_16"), (rate, channels, depth)))
    assert len(read(one + two + two + one, "a.flac")) == 16 * RATE
    assert "cut short" in refused(read, one + two[:-40000] + one, "a.flac")


@pytest.mark.parametrize("name", ["wavpack.wv", "aac.m4a", "wmav2.wma", "a.wav", "a.aiff", "a.au"])
def test_what_is_joined_to_a_file_that_is_read_alone_is_named(read, name):
    one, two = (made(KINDS[name], seconds) if name in KINDS else
                audio_files.encoded(tone(seconds), 44100, name[2:].upper(), "PCM_16") for seconds in (2, 4))
    assert "several files joined" in refused(read, one + two, name)


def test_a_wav_of_no_length_joined_to_another_is_named(read):
    """FFmpeg takes the second one's header for sound."""
    assert "several files joined" in refused(read, made(WAV, pipe=True) + made(WAV, pipe=True), "a.wav")


@pytest.mark.parametrize("kind", ["WAV", "AIFF"])
@pytest.mark.parametrize("behind", [b"id3 " + bytes([1, 2, 3]) * 40_000, picture_tag(50_000), bytes(50_000)],
                         ids=["chunk", "tag", "zeros"])
def test_long_tags_and_zeros_behind_the_sound_are_no_damage(read, kind, behind):
    content = audio_files.encoded(tone(), 44100, kind, "PCM_16")
    assert len(read(content + behind, f"a.{kind.lower()}")) == 4 * RATE


def test_joined_mp3s_may_have_several_rates(read):
    parts = [audio_files.encoded(tone(3, rate), rate, "MP3", "MPEG_LAYER_III") for rate in (44100, 48000)]
    assert abs(seconds_of(read(parts[0] + parts[1], "a.mp3")) - 6) < 0.15


@pytest.mark.parametrize("kind", ["VORBIS", "OPUS"])
def test_joined_oggs_of_which_one_is_cut_are_named(read, kind):
    one = audio_files.encoded(tone(4, 48000), 48000, "OGG", kind)
    assert abs(seconds_of(read(one + one + one, "a.ogg")) - 12) < 0.15
    for cut in (one[:-9000] + one, one + one[:-9000]):
        assert refused(read, cut, "a.ogg").startswith(("cut short", "corrupt at"))


def test_joined_oggs_of_several_rates_are_named(read):
    parts = [audio_files.encoded(tone(3, rate), rate, "OGG", "VORBIS") for rate in (44100, 22050)]
    assert "several streams; after 3.00 s: Sample rate change" in refused(read, parts[0] + parts[1], "a.ogg")


@pytest.mark.parametrize("name", ["wavpack.wv", "flac.flac", "libmp3lame.mp3", "aac.m4a", "libopus.opus"])
def test_a_tag_behind_the_sound_is_no_damage(read, name):
    assert abs(seconds_of(read(made(KINDS[name]) + b"APETAGEX" + bytes(900) + b"TAG" + b"x" * 125, name)) - 4) < 0.1


# --- exact numbers
@pytest.mark.parametrize("kind, subtype", SUBTYPES)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_samples_are_those_of_libsndfile(tmp_path, kind, subtype, channels):
    path = tmp_path / f"a.{kind.lower()}"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, (2 * RATE, channels)), RATE, subtype, format=kind)
    mono = soundfile.read(path, dtype="float32", always_2d=True)[0].mean(axis=1, dtype=np.float32)
    assert np.array_equal(reading.read_audio(path), np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16))


@pytest.mark.parametrize("name", ["libopus.opus", "aac.m4a", "wavpack.wv", "flac.flac"])
@pytest.mark.parametrize("layout", ["7.1", "5.1", "mono"])
def test_sounds_of_many_channels(read, tmp_path, name, layout):
    """PyAV's own way to an array reads beyond the samples of eight channels, and may crash."""
    _, container, codec, _, _ = KINDS[name]
    with av.open(tmp_path / name, "w", format=container) as file:
        stream = file.add_stream(codec, rate=48000, layout=layout)
        sound = np.repeat(tone(4, 48000, 1), stream.layout.nb_channels, axis=1).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts = 48000, 0
        file.mux([*stream.encode(frame), *stream.encode(None)])
    assert abs(seconds_of(reading.read_audio(tmp_path / name)) - 4) < 0.1


# --- a WAV that was never finished
@pytest.mark.parametrize("claim", [0, 2**32 - 1, 2**31 - 4096])
@pytest.mark.parametrize("odd", [0, 1, 3])
@pytest.mark.filterwarnings("ignore:.*never finished")
def test_an_unfinished_wav_is_read_to_its_last_whole_sample(read, claim, odd):
    content = bytearray(audio_files.encoded(tone(), 44100, "WAV", "PCM_16"))
    content[4:8] = content[40:44] = claim.to_bytes(4, "little")
    assert abs(3.75 * RATE - len(read(content[:len(content) - 44100 - odd], "a.wav"))) <= 1


def test_a_wav_of_length_0_is_told_of(read):
    content = bytearray(audio_files.encoded(tone(), 44100, "WAV", "PCM_16"))
    content[40:44] = bytes(4)
    with pytest.warns(UserWarning, match="a.wav: never finished by its recorder"):
        read(content, "a.wav")


@pytest.mark.parametrize("kind, place, size", [("AU", 8, 4), ("AIFF", 42, 4), ("RF64", 28, 8)])
def test_other_files_of_length_0_are_read_to_their_end(read, kind, place, size):
    content = bytearray(audio_files.encoded(tone(), 44100, kind, "PCM_16"))
    content[place:place + size] = bytes(size)
    with pytest.warns(UserWarning, match="never finished by its recorder"):
        assert len(read(content, f"a.{kind.lower()}")) == 4 * RATE


def test_a_wav_that_claims_half_of_its_length_is_named(read):
    content = bytearray(audio_files.encoded(tone(), 44100, "WAV", "PCM_16"))
    content[40:44] = (2 * 44100 * 4).to_bytes(4, "little")
    assert "wrong length in its header: it ends after 2.00 s" in refused(read, content, "a.wav")


# --- the right reason
def refused(read, content, name):
    with pytest.raises(reading.UnusableFile) as caught:
        read(content, name)
    return str(caught.value)


@pytest.mark.parametrize("page", [b" " * 160 + b"<html>", b"\xef\xbb\xbf\n<p>no", b"<!-- a -->", b"<script>x",
                                  "<!DOCTYPE html>".encode("utf-16"), "<html>".encode("utf-16-be")])
def test_web_pages(read, page):
    assert refused(read, page + b"x" * 500, "a.mp3") == "not audio: looks like a web page"


def test_a_pointer_of_git_lfs(read):
    assert "git lfs pull" in refused(read, b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", "a.wav")


def test_what_ffmpeg_misreads_is_named(read):
    big = io.BytesIO()
    soundfile.write(big, tone(), 44100, "PCM_16", "BIG", "WAV")
    assert "big-endian WAV" in refused(read, big.getvalue(), "a.wav")
    wide = bytearray(audio_files.encoded(tone(), 44100, "WAVEX", "PCM_32"))
    place = wide.index(b"fmt ") + 26
    wide[place:place + 2] = (24).to_bytes(2, "little")  # valid bits of a sample
    assert "24 bits in 32" in refused(read, wide, "a.wav")


@pytest.mark.parametrize("content", [b"404: Not Found", bytes(50_000)])
def test_rubbish_named_flac(read, content):
    assert refused(read, content, "a.flac") == "corrupt, empty or not audio: holds no samples"


def test_an_ogg_of_vorbis_then_opus_is_named(read):
    parts = [audio_files.encoded(tone(3, 48000), 48000, "OGG", kind) for kind in ("VORBIS", "OPUS")]
    assert "of several streams; after 3.00 s" in refused(read, parts[0] + parts[1], "a.ogg")


def test_reasons(read):
    page = (ODD / "html.mp3").read_bytes()
    assert refused(read, page, "a.mp3") == refused(read, page, "a.wav") == "not audio: looks like a web page"
    opposite = tone(2, channels=1) * [1, -1]
    for sound, reason in ((opposite, "channels cancel each other"), (0 * opposite, "silent: its peak is")):
        assert reason in refused(read, audio_files.encoded(sound, 44100, "FLAC", "PCM_16"), "a.flac")
    short = audio_files.encoded(tone(1, RATE)[:-1], RATE, "WAV", "PCM_16")
    assert refused(read, short, "a.wav") == "0.99 s long, a clip needs 1.00 s"


@pytest.mark.parametrize("name", KINDS)
def test_files_that_tell_their_length_are_refused_when_cut(read, name):
    content = made(KINDS[name])
    for part in np.linspace(0.3, 0.93, 10):
        assert "c" in refused(read, content[:int(part * len(content))], name)


@pytest.mark.parametrize("name", ["libmp3lame.mp3", "aac.m4a", "alac.m4a", "wmav2.wma", "libopus.opus", "libopus.webm",
                                  "wavpack.wv", "flac.flac"])
def test_damage_between_whole_parts_is_named_and_nothing_is_printed(read, name, capfd):
    content = bytearray(made(KINDS[name]))
    middle = len(content) // 2
    content[middle:middle + 4000] = np.random.default_rng(1).bytes(4000)
    assert "corrupt" in refused(read, content, name)
    assert capfd.readouterr() == ("", "")


def test_damage_in_the_first_packet_is_named(read):
    """A WavPack of six channels has several blocks in a packet."""
    content = audio_files.made(tone(4, 48000, 6), 48000, KINDS["wavpack.wv"])
    second = content.index(b"wvpk", 4)
    assert "cut short or corrupt: 0.00 of 4.00 s" in refused(
        read, content[:second] + bytes(4) + content[second + 4:], "a.wv")


def test_half_of_an_mp3_lost_in_zeros_is_named(read):
    content = made(MP3, pipe=True)
    content = content[:len(content) // 2] + bytes(len(content) // 2)
    assert "cut short, corrupt or of several streams; after 1.99 s" in refused(read, content, "a.mp3")


def test_a_playlist_does_not_open_other_files(read, tmp_path):
    (tmp_path / "b.wav").write_bytes(audio_files.encoded(tone(), 44100, "WAV", "PCM_16"))
    for text in ("ffconcat version 1.0\nfile b.wav\n", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nb.wav\n"):
        assert "not audio" in refused(read, text.encode(), "a.mp3")


# --- folders
def test_songs_in_mp3s_that_tell_no_length_keep_all_windows(tmp_path):
    songs = [(genre, mini_set.song(genre, 0)) for genre in CONFIG.genres]
    for genre, samples in songs:
        for kind, folder in ((MP3, "mp3"), (WAV, "wav")):
            path = tmp_path / folder / genre / f"a.{kind[0]}"
            path.parent.mkdir(parents=True)
            path.write_bytes(audio_files.made(samples[:, None] / 32768, RATE, kind, True))
    mp3, wav = (evaluate.windows_of(dataset.load_songs(tmp_path / name).songs) for name in ("mp3", "wav"))
    assert len(mp3["genre"]) >= len(wav["genre"]) > 40
    assert np.array_equal(np.unique(mp3["song"]), np.unique(wav["song"]))


def test_every_suffix_is_read_in_a_folder(tmp_path):
    for genre in CONFIG.genres:
        (tmp_path / genre).mkdir()
        for name, kind in KINDS.items():
            (tmp_path / genre / name).write_bytes(made(kind, 1.5))
    (tmp_path / "jazz" / "upper.AIFF").write_bytes(audio_files.encoded(tone(), 44100, "AIFF", "PCM_16"))
    found = dataset.load_songs(tmp_path)
    assert found.skipped == [] and len(found.songs) == len(CONFIG.genres) * len(KINDS) + 1
    assert {Path(name).suffix for name in KINDS} <= set(dataset.SUFFIXES)
