"""What can go wrong: a room for each subject, all of one base."""
