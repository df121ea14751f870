"""Reading, skipping, cutting and splitting, on files written here."""

import dataclasses
import json
import os
import shutil
import tracemalloc

import hypothesis
import numpy as np
import pytest
import soundfile
from hypothesis import strategies as st

from mgr_helpers.audio import dataset, mini_set, reading, splits
from mgr_helpers.config import CONFIG, Config
from tools.experiments import folds_by_group

RATE = CONFIG.sample_rate


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("MGR_WORK", str(tmp_path / "work"))


def tone(seconds, rate=RATE, channels=1, hz=440.0):
    t = np.arange(round(seconds * rate)) / rate
    return np.repeat(0.5 * np.sin(2 * np.pi * hz * t)[:, None], channels, 1)


def write(path, seconds=2.5, rate=RATE, channels=1, subtype=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds, rate, channels), rate, subtype=subtype)
    return path


@pytest.fixture
def folder(tmp_path):
    """Three artists of each genre, one song each."""
    for genre in CONFIG.genres:
        for name in "abc":
            write(tmp_path / "songs" / genre / f"{name}.wav")
    return tmp_path / "songs"


# --- reading
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.au", "a.ogg", "a.mp3"])
@pytest.mark.parametrize("rate, channels", [(22050, 1), (44100, 2), (16000, 1), (48000, 2)])
def test_formats_and_rates(tmp_path, name, rate, channels):
    samples = reading.read_audio(write(tmp_path / name, 2.5, rate, channels))
    assert samples.dtype == np.int16 and samples.ndim == 1
    assert abs(len(samples) / RATE - 2.5) < 0.1  # MP3 pads
    middle = samples[RATE // 2:3 * RATE // 2].astype(float)
    assert np.argmax(np.abs(np.fft.rfft(middle))) == 440 and abs(middle.std() / 32768 - 0.5 / np.sqrt(2)) < 0.01


def test_int16_at_the_right_rate_is_exact(tmp_path):
    samples = np.random.default_rng(0).integers(-32768, 32768, 3 * RATE).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    assert np.array_equal(reading.read_audio(tmp_path / "a.wav"), samples)


def test_float_beyond_full_scale_is_clipped(tmp_path):
    soundfile.write(tmp_path / "a.wav", 8 * tone(2), RATE, subtype="FLOAT")
    samples = reading.read_audio(tmp_path / "a.wav")
    assert samples.max() == 32767 and samples.min() == -32768


def test_blocks_are_resampled_as_one_signal(tmp_path):
    """A sine in a file of several blocks stays a sine."""
    samples = reading.read_audio(write(tmp_path / "a.flac", 20, 44100)).astype(float)
    ideal = 32768 * tone(20)[:, 0]
    inner = slice(RATE, -RATE)
    assert np.abs(samples[inner] - ideal[:len(samples)][inner]).max() < 3


def test_reading_a_long_file_takes_little_more_memory_than_its_samples(tmp_path):
    write(tmp_path / "a.flac", 300, 44100, 2)
    tracemalloc.start()
    samples = reading.read_audio(tmp_path / "a.flac")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(samples) == 300 * RATE
    assert peak < 1.3 * samples.nbytes + 12e6


# --- files that are cut short
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.au", "a.ogg", "a.mp3"])
def test_a_file_that_is_cut_short_is_refused(tmp_path, name):
    path = write(tmp_path / name, 4)
    path.write_bytes(path.read_bytes()[:path.stat().st_size * 3 // 4])
    with pytest.raises(reading.UnusableFile, match="cut short|corrupt"):
        reading.read_audio(path)


def test_a_stream_whose_length_was_not_known_is_read(tmp_path):
    path = write(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    for unknown in (2**32 - 1, 2**31 - 4096):
        content[4:8] = content[40:44] = unknown.to_bytes(4, "little")
        path.write_bytes(content)
        assert len(reading.read_audio(path)) == 2.5 * RATE


def test_a_changed_bit_in_an_ogg_page_is_noticed(tmp_path):
    whole = write(tmp_path / "a.ogg", 4).read_bytes()
    for place in (len(whole) // 2, len(whole) - 50):
        (tmp_path / "a.ogg").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])
        with pytest.raises(reading.UnusableFile, match="Ogg page|cut short|corrupt"):
            reading.read_audio(tmp_path / "a.ogg")
    (tmp_path / "a.ogg").write_bytes(whole + b"TAG" + bytes(125))
    assert len(reading.read_audio(tmp_path / "a.ogg")) == 4 * RATE


# --- takes with gaps
def take(folder, gaps, seconds=5.0, rate=RATE):
    """A take of the recorder whose level jumps at each gap."""
    samples = np.full(round(seconds * rate), -9000, np.int16)
    for number, at in enumerate(gaps):
        samples[at:] = 9000 * (-1) ** number
    samples += (np.arange(len(samples)) % 600).astype(np.int16)
    soundfile.write(folder / "take.wav", samples, rate)
    sidecar = {"sample_rate": rate, "gaps": [{"at": at, "missing": 7, "cause": "lost"} for at in gaps]}
    (folder / "take.json").write_text(json.dumps(sidecar))


@pytest.mark.parametrize("rate", [RATE, 16000])
def test_no_clip_spans_a_gap(folder, rate):
    take(folder / "jazz", [round(1.5 * rate), round(1.9 * rate)], rate=rate)
    found = dataset.load_songs(folder)
    pieces = [song for song in found.songs if "take" in song.song]
    assert [(song.song, song.group) for song in pieces] == [("jazz/take#1", "jazz/take"), ("jazz/take#3", "jazz/take")]
    assert [row["file"] for row in found.skipped] == ["jazz/take.wav#2"] and "0.40 s" in found.skipped[0]["reason"]
    assert [round(len(song.samples) / RATE, 3) for song in pieces] == [1.5, 3.1]
    clips = dataset.cut_clips(pieces)["audio"].astype(int)
    inner = clips[:, 500:-500] if rate != RATE else clips  # resampling rings near a gap
    assert len(clips) == 4 and (np.ptp(inner, axis=1) < 1000).all()


@pytest.mark.parametrize("text", ["{", '{"gaps": 3, "sample_rate": 22050}', '{"gaps": [{}], "sample_rate": 22050}',
                                  '{"gaps": [{"at": 5}]}', '{"gaps": [{"at": 5}], "sample_rate": 0}', "\x00"])
def test_a_take_with_a_damaged_sidecar_is_named(folder, text):
    (folder / "jazz" / "a.json").write_text(text)
    assert "a.json can't be read" in dataset.load_songs(folder).skipped[0]["reason"]


def test_json_files_of_other_programs_are_ignored(folder):
    for name, text in (("a", "[1]"), ("b", '{"title": "So What"}'), ("c", '{"gaps": [], "sample_rate": 22050}')):
        (folder / "jazz" / f"{name}.json").write_text(text)
    assert dataset.load_songs(folder).skipped == []


# --- files that can't be used
def make_bad_files(root):
    """The bad files, {name: part of the reason}, and good ones among them."""
    folder = root / "jazz"
    (folder / "corrupt.wav").write_bytes(b"RIFF" + bytes(range(256)) * 40)
    (folder / "empty.flac").write_bytes(b"")
    write(folder / "short.wav", 0.3)
    soundfile.write(folder / "silent.wav", np.zeros(2 * RATE), RATE)
    soundfile.write(folder / "offset.wav", np.full(2 * RATE, 0.3), RATE)
    for name, value in (("nan", np.nan), ("infinite", np.inf), ("integers", 32767)):
        samples = tone(2)
        samples[RATE] = value
        soundfile.write(folder / f"{name}.wav", samples, RATE, subtype="FLOAT")
    (folder / "folder.wav").mkdir()
    (folder / "text.wav").write_text("not a sound")
    (folder / "notes.txt").write_text("not a sound")
    return {"corrupt.wav": "corrupt", "empty.flac": "empty", "short.wav": "0.30 s", "silent.wav": "silent",
            "offset.wav": "silent", "nan.wav": "NaN", "infinite.wav": "infinity", "integers.wav": "times full scale",
            "folder.wav": "is a folder", "text.wav": "not audio", "notes.txt": "not one of"}


def test_bad_files_are_named_and_the_rest_is_used(folder):
    bad = make_bad_files(folder)
    write(folder / "jazz" / "stereo.wav", 2, 44100, 2)
    write(folder / "jazz" / "with space, 😀 and\nnewline.wav", 2)
    songs = dataset.load_songs(folder)
    assert {row["file"] for row in songs.skipped} == {f"jazz/{name}" for name in bad}
    for row in songs.skipped:
        assert bad[row["file"].removeprefix("jazz/")] in row["reason"], row
    assert len([song for song in songs.songs if song.genre == "jazz"]) == 5
    assert len(songs.songs) == 11


@pytest.mark.skipif(os.name == "nt" or getattr(os, "geteuid", lambda: 1)() == 0, reason="root reads everything")
def test_unreadable_file(folder):
    (folder / "jazz" / "a.wav").chmod(0)
    assert "permission" in dataset.load_songs(folder).skipped[0]["reason"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_fifo_does_not_hang(folder):
    os.mkfifo(folder / "jazz" / "pipe.wav")
    assert "not a regular file" in dataset.load_songs(folder).skipped[0]["reason"]


def test_hidden_files_and_sidecars_are_no_songs(folder):
    (folder / "jazz" / "._a.wav").write_bytes(b"Mac")
    (folder / "jazz" / "a.json").write_text("{}")
    assert dataset.load_songs(folder).skipped == []


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="one sub-folder per genre"):
        dataset.load_songs(tmp_path / "nowhere")


def test_kaggles_layout_is_found_inside_any_folder(folder):
    """archive/Data holds tables, songs and, in folders of the same genres, pictures."""
    data = folder.parent / "down" / "archive" / "Data"
    data.mkdir(parents=True)
    folder.rename(data / "genres_original")
    (data / "images_original" / "jazz").mkdir(parents=True)
    for stray in (data.parent.parent / "jazz", data.parent / "__MACOSX" / "jazz"):
        stray.mkdir(parents=True)
    (data / "features_30_sec.csv").write_text("filename\n")
    for place in (data, data.parent, data.parent.parent):
        assert len(dataset.load_songs(place).songs) == 9
    (data / "genres_original" / "jazz").rename(data / "genres_original" / "jazzy")
    recordings = dataset.load_songs(data / "genres_original", Config(genres=("disco", "metal")), recordings=data.parent)
    assert len(recordings.songs) == 12


@pytest.mark.parametrize("stray", ["jazz/", "down/__MACOSX/jazz/a.wav", "down/images/jazz/a.png", "down/a/jazz/a.wav"])
def test_the_folder_with_most_genres_is_found(folder, stray):
    """An empty folder above the set, what macOS adds to an archive, pictures, or one genre beside it don't win."""
    root = folder.parent / "root"
    (root / "down").mkdir(parents=True)
    folder.rename(root / "down" / "songs")
    (root / stray).parent.mkdir(parents=True, exist_ok=True)
    (root / stray).mkdir() if stray.endswith("/") else (root / stray).write_bytes(b"x")
    if "images" in stray:
        for genre in CONFIG.genres:
            (root / "down" / "images" / genre).mkdir(exist_ok=True)
    assert len(dataset.load_songs(root).songs) == 9


def test_a_copy_below_does_not_win_where_one_genre_is_empty(folder):
    shutil.copytree(folder, folder.parent / "copy")
    (folder.parent / "copy").rename(folder / "old")
    shutil.rmtree(folder / "jazz")
    (folder / "jazz").mkdir()
    with pytest.raises(ValueError, match="no usable song of jazz"):
        dataset.load_songs(folder)


def test_genres_in_capitals_are_named(folder):
    (folder / "jazz").rename(folder / "JAZZ.")
    (folder / "JAZZ.").rename(folder / "JAZZ")
    if (folder / "jazz").is_dir():
        pytest.skip("this file system takes no notice of case")
    for genres in (CONFIG.genres, ("jazz", "polka")):
        with pytest.raises(FileNotFoundError, match="JAZZ: differs from a genre in capital letters only"):
            dataset.load_songs(folder, Config(genres=genres))


@pytest.mark.parametrize("name, remedy", [("songs.zip", "unpack it"), ("a.mp3", "give the folder of the genres")])
def test_a_file_as_the_data_set(tmp_path, name, remedy):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(FileNotFoundError, match=f"{name}: it is a file: {remedy}"):
        dataset.load_songs(tmp_path / name)


def test_recordings_without_a_genre_are_named(folder):
    with pytest.raises(FileNotFoundError, match=r"no recordings of disco, jazz, metal in .*songs/jazz: it has \[\]"):
        dataset.load_songs(folder, recordings=folder / "jazz")


def test_a_note_about_a_file_is_one_line(folder, capsys):
    content = bytearray((folder / "jazz" / "a.wav").read_bytes())
    content[40:44] = bytes(4)
    (folder / "jazz" / "a.wav").write_bytes(content)
    assert dataset.load_songs(folder).skipped == []
    printed = capsys.readouterr().err
    assert "jazz/a.wav: never finished by its recorder" in printed and "UserWarning" not in printed


def test_the_message_says_where_genres_were_looked_for(folder):
    with pytest.raises(FileNotFoundError, match=r"songs: it has \['disco', 'jazz', 'metal'\].*in it and up to 3 levels"):
        dataset.load_songs(folder, Config(genres=("polka", "waltz")))
    with pytest.raises(FileNotFoundError, match="nowhere: it is missing"):
        dataset.load_songs(folder, recordings=folder / "nowhere")


def test_genre_without_folder(folder):
    with pytest.raises(FileNotFoundError, match="'polka'.*GENRES in notebook 02"):
        dataset.load_songs(folder, Config(genres=("disco", "polka")))


def test_other_folders_are_reported(folder):
    write(folder / "polka" / "a.wav")
    songs = dataset.load_songs(folder)
    assert songs.other_folders == ["polka"] and {song.genre for song in songs.songs} == set(CONFIG.genres)
    others = dataset.load_songs(folder, Config(genres=("jazz", "polka")))
    assert others.other_folders == [] and others.kinds == ["disco", "metal"]  # GTZAN's other genres are other music


# --- other music

def test_other_music_by_kind_and_flat(folder, tmp_path):
    for name in ("rock/rock.00007.wav", "rock/rock.00009.wav", "rock/rock.00010.wav", "speech/talk.wav"):
        write(tmp_path / "by kind" / name)
    write(tmp_path / "flat" / "a.wav")
    found = dataset.load_songs(folder, other=[tmp_path / "by kind", tmp_path / "flat"])
    assert found.kinds == ["other", "rock", "speech"] and {song.genre for song in found.songs} == set(CONFIG.genres)
    assert [(song.song, song.group) for song in found.others] == [
        ("rock/rock.00007", "rock/rock.1*"), ("rock/rock.00009", "rock/rock.1*"), ("rock/rock.00010", "rock/rock.2*"),
        ("speech/talk", "speech/talk"), ("other/a", "other/a")]


def test_the_other_genres_of_gtzan_are_other_music(folder):
    write(folder / "blues" / "blues.00000.wav")
    found = dataset.load_songs(folder)
    assert found.kinds == ["blues"] and found.other_folders == []


def test_a_folder_of_other_music_that_can_not_be_used(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder nowhere"):
        dataset.load_songs(folder, other="nowhere")
    with pytest.raises(ValueError, match="which is a genre"):
        dataset.load_songs(folder, other=folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no sound file"):
        dataset.load_songs(folder, other=tmp_path / "empty")


def test_other_music_is_kept_for_the_next_notebooks(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MGR_WORK", str(tmp_path / "work"))
    for config in (CONFIG, dataclasses.replace(CONFIG, genres=("blues", "rock"))):  # before notebook 02 has run
        assert {song.genre for song in dataset.load_others(config=config)} == set(mini_set.OTHERS)
    for number in range(30):
        write(tmp_path / "other" / "pop" / f"pop.{number:05d}.wav")
    found = dataset.load_songs(folder, other=tmp_path / "other")
    path = dataset.save_others(found)
    parts = {part: dataset.load_others(part) for part in splits.PARTS}
    assert {part: len(songs) for part, songs in parts.items()} == {"train": 15, "validation": 5, "test": 10}
    assert sorted(song.song for songs in parts.values() for song in songs) == [song.song for song in found.others]
    assert np.array_equal(dataset.load_others()[3].samples, found.others[3].samples)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="run notebook 02 again"):
        dataset.load_others()


def test_genre_without_a_usable_song_is_an_error(folder):
    for path in (folder / "metal").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="no usable song of metal.*metal/a.wav: empty"):
        dataset.load_songs(folder)


# --- manifest and recordings
def test_manifest_gives_artist_and_split(folder):
    (folder / "manifest.csv").write_text("file,artist,fault_filtered_split\njazz/a.wav,Monk,valid\njazz/b.wav,Monk,\n"
                                         "jazz/gone.wav,Monk,train\n")
    songs = dataset.load_songs(folder)
    by_id = {song.song: song for song in songs.songs}
    assert (by_id["jazz/a"].group, by_id["jazz/a"].split) == ("Monk", "validation")
    assert (by_id["jazz/b"].group, by_id["jazz/b"].split) == ("Monk", "")
    assert by_id["jazz/c"].group == "jazz/c"
    assert songs.skipped[0]["file"] == "jazz/gone.wav" and "missing" in songs.skipped[0]["reason"]


def test_manifest_without_its_columns(folder):
    (folder / "manifest.csv").write_text("name,who\na,b\n")
    with pytest.raises(ValueError, match="manifest.csv needs the columns file and artist"):
        dataset.load_songs(folder)


@pytest.mark.parametrize("text, problem", [
    ("file,artist\njazz/a.wav,Bjørk\n".encode("latin-1"), "not UTF-8"),
    (b"file,artist\njazz/../disco/a.wav,Monk\n", "row 2.*need <genre>/<file name>"),
    (b"file,artist\na.wav,Monk\n", "row 2.*need <genre>/<file name>"),
    (b"file,artist\njazz/a.wav,Monk\njazz/a.wav,Davis\n", "row 3.*named before"),
    (b"artist,file\nMonk,jazz/a.wav\nMonk\n", "row 3"),
    (b"file,artist,fault_filtered_split\njazz/a.wav,Monk,tset\n", "row 2.*'tset'"),
    (b"file,artist\njazz/a.wav,\"Monk\n", "damaged")])
def test_a_manifest_that_could_be_misread_is_refused(folder, text, problem):
    (folder / "manifest.csv").write_bytes(text)
    with pytest.raises(ValueError, match=f"manifest.csv.*{problem}"):
        dataset.load_songs(folder)


def test_a_manifest_from_windows(folder):
    (folder / "manifest.csv").write_bytes(b"\xef\xbb\xbffile,artist\r\njazz\\a.wav,Monk\r\n")
    assert {song.song: song.group for song in dataset.load_songs(folder).songs}["jazz/a"] == "Monk"


def test_own_recordings_are_added(folder, tmp_path):
    write(tmp_path / "mine" / "jazz" / "a.wav", 3)
    songs = dataset.load_songs(folder, recordings=tmp_path / "mine")
    added = [song for song in songs.songs if song.song.startswith("recordings/")]
    assert [(song.path, song.group) for song in added] == [("recordings/jazz/a.wav", "recordings/jazz/a")]
    assert songs.source == "songs + mine" and len({song.song for song in songs.songs}) == len(songs.songs) == 10


# --- clips
def test_songs_are_cut_into_clips(folder):
    write(folder / "disco" / "d.wav", 4.9)
    clips = dataset.cut_clips(dataset.load_songs(folder))
    assert clips["audio"].shape == (9 * 2 + 4, CONFIG.clip_length) and clips["audio"].dtype == np.int16
    long = clips["audio"][clips["song"] == "disco/d"]
    assert np.array_equal(long.reshape(-1), reading.read_audio(folder / "disco" / "d.wav")[:4 * RATE])
    assert np.array_equal(np.bincount(clips["genre"]), [6 + 4, 6, 6])


def test_a_silent_second_is_no_clip():
    samples = np.concatenate([np.full(RATE, 9000), np.arange(RATE) % 3000]).astype(np.int16)
    clips = dataset.cut_clips([dataset.Song("a.wav", "jazz", "a", "a", samples)])
    assert len(clips["audio"]) == 1 and clips["audio"][0].max() == 2999


def test_songs_of_joins_clips(folder):
    loaded = dataset.load_songs(folder)
    again = dataset.songs_of(dataset.cut_clips(loaded))
    for before, after in zip(sorted(loaded.songs, key=lambda song: song.song), again):
        assert (before.song, before.genre, before.group) == (after.song, after.genre, after.group)
        assert np.array_equal(before.samples[:2 * RATE], after.samples)


# --- splits
@st.composite
def labelled_clips(draw):
    """Genres and groups of clips: at least five groups a genre, of very unequal sizes."""
    genre, group = [], []
    for index in range(3):
        for number, size in enumerate(draw(st.lists(st.integers(1, 30), min_size=5, max_size=12))):
            genre += [index] * size
            group += [f"{index}-{number}"] * size
    return {"genre": np.array(genre), "group": np.array(group), "song": np.array(group),
            "split": np.full(len(genre), "")}


@hypothesis.settings(max_examples=8, deadline=None)
@hypothesis.given(labelled_clips(), st.integers(0, 3))
def test_no_group_in_two_parts(clips, seed):
    for part, names in ((splits.split_by_group(clips, seed), splits.PARTS),
                        (folds_by_group(clips, 3, seed), range(3))):
        assert set(part) == set(names)
        for group in set(clips["group"]):
            assert len(set(part[clips["group"] == group])) == 1
        for name in names:
            assert set(clips["genre"][part == name]) == {0, 1, 2}
    assert np.array_equal(splits.split_by_group(clips, seed), splits.split_by_group(clips, seed))


def test_each_part_gets_one_of_three_big_artists():
    """Where three artists have nearly all songs of a genre, each part gets one of them."""
    sizes = {0: [4] * 25, 1: [150, 140, 90, 2, 2], 2: [10] * 19}
    genre = np.repeat(list(sizes), [sum(size) for size in sizes.values()])
    group = np.concatenate([np.repeat([f"{g}-{n}" for n in range(len(size))], size) for g, size in sizes.items()])
    part = splits.split_by_group({"genre": genre, "group": group})
    jazz = {name: np.sum((part == name) & (genre == 1)) for name in splits.PARTS}
    assert min(jazz.values()) >= 90


def test_too_few_groups_names_the_genre():
    clips = {"genre": np.repeat([0, 1, 2], 6), "group": np.array([*"aabbcc", *"dddeee", *"ffgghh"])}
    with pytest.raises(ValueError, match="jazz has 2 artists"):
        splits.split_by_group(clips)
    with pytest.raises(ValueError, match="disco has 3 artists.*needs 5"):
        folds_by_group(clips)


def test_leaky_split_leaks():
    clips = {"genre": np.repeat([0, 1, 2], 50), "group": np.repeat([*"abcdef"], 25)}
    part = splits.leaky_split(clips)
    assert [np.sum(part == name) for name in splits.PARTS] == [90, 30, 30]
    assert set(clips["group"][part == "train"]) & set(clips["group"][part == "test"])


def gtzan_clips(numbers):
    """One clip of each GTZAN song of these numbers, as `clips` would describe it."""
    rows = [(genre, f"{name}/{name}.{number:05d}") for genre, name in enumerate(CONFIG.genres) for number in numbers]
    facts = [dataset._gtzan_facts()[song.split("/")[1]] for _, song in rows]
    split = [{"valid": "validation"}.get(row["fault_filtered_split"], row["fault_filtered_split"]) for row in facts]
    return {"genre": np.array([genre for genre, _ in rows]), "song": np.array([song for _, song in rows]),
            "group": np.array([row["artist"] or song for row, (_, song) in zip(facts, rows)]), "split": np.array(split)}


def test_full_gtzan_takes_the_published_split():
    clips = gtzan_clips(range(100))
    split, how = splits.choose_split(clips)
    assert "fault-filtered" in how
    artists = [set(clips["group"][split == part]) for part in splits.PARTS]
    assert sum(map(len, artists)) == len(set.union(*artists))
    assert [np.sum(split == part) for part in splits.PARTS] == [129, 59, 83]  # Kereliuk et al. 2015, these genres


def test_part_of_gtzan_is_split_by_artist():
    clips = gtzan_clips(range(100))
    some = (clips["genre"] != 1) | (clips["split"] != "test")
    split, how = splits.choose_split({name: values[some] for name, values in clips.items()})
    assert "artist" in how and "" not in split


def test_artists_file_agrees_with_the_lists():
    names = {"train": "train", "valid": "valid", "test": "test"}
    for part, name in names.items():
        listed = (dataset.SPLIT_LISTS / f"{name}_filtered.txt").read_text().split()
        facts = dataset._gtzan_facts()
        assert sorted(line.split("/")[1].removesuffix(".wav") for line in listed) == sorted(
            song for song, row in facts.items() if row["fault_filtered_split"] == part)


def test_a_gtzan_file_name_gives_artist_and_split(folder):
    write(folder / "disco" / "disco.00001.wav")
    song = next(song for song in dataset.load_songs(folder).songs if song.song == "disco/disco.00001")
    assert (song.group, song.split) == ("Gloria Gaynor", "test")


# --- work folder
def test_save_and_load(folder):
    clips = dataset.cut_clips(dataset.load_songs(folder))
    split = splits.split_by_group(clips)
    split[0] = ""
    dataset.save_clips(clips, split, "songs")
    loaded = dataset.load_clips()
    assert loaded["source"] == "songs" and loaded["genres"] == list(CONFIG.genres)
    assert np.array_equal(loaded["audio"], clips["audio"][1:]) and np.array_equal(loaded["split"], split[1:])
    with pytest.raises(ValueError, match="run notebook 02 again"):
        dataset.load_clips(Config(sample_rate=16000, upper_hz=8000, clip_length=22050))


def test_genres_go_on_with_the_clips(folder, tmp_path, monkeypatch):
    """Genres chosen in notebook 02 reach the later notebooks, whatever CONFIG says."""
    monkeypatch.setenv("MGR_WORK", str(tmp_path / "work"))
    config = Config(genres=("metal", "disco"))
    clips = dataset.cut_clips(dataset.load_songs(folder, config), config)
    dataset.save_clips(clips, splits.split_by_group(clips, config=config), "songs", config)
    loaded = dataset.load_clips()
    assert loaded["genres"] == ["metal", "disco"] and loaded["config"] == config
    assert {song.genre for song in dataset.songs_of(loaded)} == {"metal", "disco"}


def test_load_without_notebook_02(capsys):
    loaded = dataset.load_clips()
    assert loaded["source"] == "mini" and set(loaded["split"]) == set(splits.PARTS)
    assert "synthetic" in capsys.readouterr().out


def test_damaged_clips(folder):
    clips = dataset.cut_clips(dataset.load_songs(folder))
    path = dataset.save_clips(clips, splits.split_by_group(clips), "songs")
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="damaged.*notebook 02"):
            dataset.load_clips()
