#!/usr/bin/env bash
# man.sh BINARY VERSION: prints the manual page; commands and options are as the program lists them.
set -euo pipefail
help=$("$1" --help)
# section NAME: the lines below it, as tagged paragraphs.
section() {
  awk -v name="$1:" '$0 == name { on = 1; next } /^[^ ]/ || /^$/ { on = 0 } on' <<< "$help" |
    sed -E -e 's/\\/\\\\/g' -e 's/^ +(-.*|[^ ]+)  +(.*)$/.TP\n.B \1\n\2/' -e 's/-/\\-/g' |
    sed -e "s/^['.]\([^TB]\)/\\\\\&.\1/"
}
cat << PAGE
.TH CITYHUB 1 "" "cityhub $2" "cityhub"
.SH NAME
cityhub \- sensing hub of a city
.SH SYNOPSIS
.B cityhub
[\fB\-\-config\fR \fIFILE\fR] [\fB\-\-data\-dir\fR \fIDIR\fR] \fICOMMAND\fR …
.SH DESCRIPTION
Takes telemetry of sensors, puts it on disk before it is acknowledged, runs alarm rules over it, and serves console and API.
\fBcityhub help\fR \fICOMMAND\fR tells the options of a command.
.SH COMMANDS
$(section Commands)
.SH OPTIONS
$(section Options)
.SH ENVIRONMENT
.TP
.B CITYHUB__\fISECTION\fB__\fIKEY\fR
Sets a key of the configuration; wins over the file.
.TP
.B CREDENTIALS_DIRECTORY
A folder whose files set keys: each is named as such a variable, and its content is the value.
.TP
.BR NOTIFY_SOCKET ", " WATCHDOG_USEC
Set by systemd: see
.BR sd_notify (3).
.SH EXIT STATUS
.TP
.B 0
It is fine.
.TP
.B 1
It is not: what was asked for was refused, or something is wrong; \fBdoctor\fR has warnings.
.TP
.B 2
Bad usage or a bad configuration; the message names file, line and key. \fBdoctor\fR has faults.
.TP
.B 74
The journal failed; a new start recovers what is on disk.
.SH FILES
.TP
.I /etc/cityhub/hub.toml
The configuration of the service.
.TP
.I /etc/cityhub/secrets/
Secrets that root alone can read; systemd hands them to the service.
.TP
.I /var/lib/cityhub/
Everything that the hub keeps.
.SH EXAMPLES
.EX
cityhub admin user add me \-\-role admin \-\-config /etc/cityhub/hub.toml
cityhub check \-\-config /etc/cityhub/hub.toml
cityhub doctor \-\-config /etc/cityhub/hub.toml
journalctl \-u cityhub \-f
.EE
.SH SEE ALSO
.BR systemctl (1),
.BR journalctl (1)
PAGE
