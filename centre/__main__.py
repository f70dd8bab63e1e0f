from centre.commands import console

console()
