# Finds a Python 3.11 to 3.13 and hands everything to run.py.
$ErrorActionPreference = 'Continue'
$check = 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
foreach ($candidate in 'python', 'python3', 'py -3.13', 'py -3.12', 'py -3.11') {
  $name, $version = $candidate.Split(' ')
  if (-not (Get-Command $name -CommandType Application -ErrorAction SilentlyContinue)) { continue }
  $flags = @($version | Where-Object { $_ })
  & $name @flags -c $check *> $null
  if ($LASTEXITCODE -eq 0) {
    & $name @flags (Join-Path $PSScriptRoot 'run.py') @args
    exit $LASTEXITCODE
  }
}
[Console]::Error.WriteLine('run.ps1: needs Python 3.11, 3.12 or 3.13, found none; install one from python.org')
exit 2
