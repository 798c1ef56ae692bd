"""What a passed test has to tell all the same: printed in one section after the tests."""

_notes = []


def note(text):
    _notes.append(text)


def all_notes():
    return list(_notes)
