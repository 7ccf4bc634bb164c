"""RSS, Atom and JSON Feed for smhub. Nothing is imported here: the child process that parses comes through this door too."""
