@echo off
rem Finds a Python 3.11 to 3.13 and hands everything to run.py.
setlocal
set "found="
for %%I in ("python" "python3" "py -3.13" "py -3.12" "py -3.11") do if not defined found call :try %%I
if not defined found (
  echo run.bat: needs Python 3.11, 3.12 or 3.13, found none; install one from python.org 1>&2
  exit /b 2
)
call %found% "%~dp0run.py" %*
exit /b %errorlevel%

:try
call %~1 -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))" >nul 2>nul
if %errorlevel% equ 0 set "found=%~1"
exit /b
