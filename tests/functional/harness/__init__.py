"""What the functional tests share: the server under test, clients that sign, small packages."""
