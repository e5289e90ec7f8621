# The other language, in one turn.
turn fr-weather
answered
