"""What a loop program is: its data types, its laws, its text, and what can be known of a statement."""
