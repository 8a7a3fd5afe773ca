//! The texts of `--help` and `--help_tls`.

/// What `--help` shows.
pub const USAGE: &str = "
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
        --client_advertise <address> Host and port that clients are told instead of the listening address
    -P, --pid <file>                 File that receives the process id
        --ports_file_dir <dir>       Directory that receives <executable>_<pid>.ports
    -sl,--signal <signal>[=<pid>]    Send a signal to a running broker: ldm, stop, quit, term, reopen, reload;
                                     <pid> is a process id, a pattern such as 12*, or a pid file

Logging:
    -l, --log <file>                 Log to a file instead of standard error
        --log_size_limit <bytes>     Rotate the log file past this size (default: never)
        --log_format <text|json>     Lines as text, or one JSON object a line (default: text)
    -s, --syslog                     Log to the machine's syslog
    -r, --remote_syslog <url>        Log to a syslog elsewhere: udp://host:port, tcp://host:port or unix:///path
    -T, --logtime                    Begin lines with the time (default: true)
        --logtime_utc                In UTC instead of local time (default: false)
    -D, --debug                      Log what the broker does
    -V, --trace                      Log the protocol
    -VV                              Trace the system account too
    -DV                              Debug and trace
    -DVV                             Debug, and trace the system account too
        --max_traced_msg_len <bytes> Longest part of a traced message that is shown (default: all)

Authorization:
        --user <name>                User that connections need
        --pass <password>            Its password
        --auth <token>               Token that connections need

Not available yet (refused):
    -js, --jetstream                 Streams
        --tls, --tlsverify           TLS, with its files
        --tlscert, --tlskey, --tlscacert <file>
        --cluster, --cluster_listen <url>
        --routes <url, url>          Clusters

Without effect yet (accepted):
    -m, --http_port <port>           Monitoring
    -ms,--https_port <port>          Monitoring over TLS
    -sd,--store_dir <dir>            Where streams are stored
        --cluster_name <name>, --cluster_advertise <address>, --no_advertise, --connect_retries <number>
        --profile <port>             Profiling

Other:
    -h, --help                       Show this text
    -v, --version                    Show the version
        --help_tls                   Help for TLS

Flags take one or two dashes; a value follows as the next word or behind `=`. Booleans stand alone, or with `=false`.

";

/// What `--help_tls` shows.
pub const TLS_HELP: &str = "\
TLS is not available in this version of Dunlin: the key `tls` of a configuration file and the flags --tls, --tlsverify,
--tlscert, --tlskey and --tlscacert are refused, so that nothing runs without the protection that they ask for.
";
