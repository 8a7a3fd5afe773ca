//! The usage text.

/// What `--help` shows.
pub const USAGE: &str = "\
Usage: dunlin [options] [command]

Commands:
    plugins                          List the plugins of this binary, with their options
    version                          Show the version
    help                             Show this text

Server:
    -c, --config <file>              Configuration file: TOML by its extension, else nats.conf
    -t                               Check the configuration file and exit
    -a, --addr, --net <host>         Address to listen on (default: 0.0.0.0)
    -p, --port <port>                Port for clients (default: 4222; -1: any free one)
    -n, --name, --server_name <name> Name of this server (default: its id)
        --client_advertise <host:port>
                                     What clients are told instead of the listening address
    -P, --pid <file>                 File that receives the process id
        --ports_file_dir <dir>       Directory that receives <executable>_<pid>.ports
    -sl,--signal <signal>[=<pid>]    Send a signal to a running broker: ldm, stop, quit, term, reopen, reload.
                                     <pid> is a process id, a pattern such as 12*, or a pid file

Logging:
    -l, --log <file>                 Log to a file instead of standard error
        --log_size_limit <bytes>     Rotate the log file at this size (default: never)
    -T, --logtime                    Begin lines with the time (default: true)
        --logtime_utc                In UTC instead of local time (default: false)
    -D, --debug                      Log what the broker does
    -V, --trace                      Log the protocol
    -VV, -DV, -DVV                   Trace the system account too; debug and trace; all of it
        --max_traced_msg_len <bytes> Longest part of a traced message that is shown (default: all)

Authorization:
        --user <name>                User that connections need
        --pass <password>            Its password
        --auth <token>               Token that connections need

Other:
    -h, --help                       Show this text
    -v, --version                    Show the version

Flags take one or two dashes; a value follows as the next word or behind `=`. Flags of nats-server for features that
this version does not have (JetStream, TLS, clustering, monitoring, syslog) are known, and answered with a clear line.
";
