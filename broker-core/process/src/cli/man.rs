//! The manual page, made from the flags and commands.

use super::definition::{FLAGS, Group, WORDS, dashed};
use super::usage::explanation;
use crate::signals::Signal;

/// The page, in roff, of a program with this version and level of NATS.
pub fn manual(version: &str, level: &str) -> String {
    let mut page = format!(
        ".TH DUNLIN 1 \"\" \"dunlin {}\"\n\
         .SH NAME\ndunlin \\- a message broker that is a NATS server\n\
         .SH SYNOPSIS\n.B dunlin\n[\\fIoptions\\fR] [\\fIcommand\\fR]\n\
         .SH DESCRIPTION\n\
         Runs a broker until a signal ends it. To clients, tools and configuration files it is a nats\\-server {}.\n\
         Started under the name nats\\-server it answers as one.\n",
        roff(version),
        roff(level)
    );
    for group in Group::ALL {
        page.push_str(&format!(".SH {} OPTIONS\n", group.title().to_uppercase()));
        for flag in FLAGS.iter().filter(|flag| flag.group == group) {
            let names: Vec<String> = flag
                .names
                .iter()
                .map(|name| format!("\\fB{}\\fR", roff(&dashed(name))))
                .collect();
            let value = match flag.value {
                "" => String::new(),
                value => format!(" \\fI{}\\fR", roff(value)),
            };
            let help = explanation(flag).replace('\n', " ");
            page.push_str(&format!(".TP\n{}{value}\n{}\n", names.join(", "), roff(&help)));
        }
    }
    page.push_str(".SH COMMANDS\n");
    for word in WORDS {
        let arguments = roff(word.arguments);
        page.push_str(&format!(
            ".TP\n\\fB{}\\fR {arguments}\n{}\n",
            roff(word.name),
            roff(word.help)
        ));
    }
    page.push_str(".SH SIGNALS\n");
    for signal in Signal::ALL {
        page.push_str(&format!(
            ".TP\n\\fB{}\\fR\n{}\n",
            signal.short_name(),
            roff(signal.meaning())
        ));
    }
    page.push_str(
        ".SH EXIT STATUS\n\
         0 after a stop, and after flags that are not understood, as nats\\-server has it; 1 after an error.\n\
         \\fBstore\\fR: 0 nothing is damaged, 1 something is, 2 the directory cannot be read.\n\
         .SH ENVIRONMENT\n\
         .TP\n\\fBNOTIFY_SOCKET\\fR, \\fBWATCHDOG_USEC\\fR, \\fBWATCHDOG_PID\\fR\n\
         Set by systemd, which is told when the broker is ready, reloads, stops, and that it is alive.\n\
         .TP\n\\fBDUNLIN_STORE_KEY\\fR, \\fBDUNLIN_STORE_PREV_KEY\\fR\n\
         Keys of an encrypted store for \\fBstore\\fR, where no \\fI\\-\\-key\\-file\\fR is given.\n",
    );
    page
}

/// Text without meaning to roff.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}
