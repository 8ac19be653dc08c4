//! The stable codes of everything that can be said about a stack file.
//!
//! Owns: each code's number, title and explanation. A released code never changes its meaning.

use std::fmt;

macro_rules! codes {
    ($($variant:ident $number:literal $title:literal $text:literal;)*) => {
        /// What kind of thing is wrong: `H01` the text, `H02` the fields, `H03` what cannot be run, `H04` the graph,
        /// `H05` addresses, `H06` secrets, `H07` Compose files.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable number, such as `H0204`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $number,)*
                }
            }

            /// What it is about, in a few words.
            pub fn title(self) -> &'static str {
                match self {
                    $(Code::$variant => $title,)*
                }
            }

            /// What it means and what to do, in a paragraph.
            pub fn explanation(self) -> &'static str {
                match self {
                    $(Code::$variant => $text,)*
                }
            }
        }
    };
}

codes! {
    Unreadable "H0100" "a file cannot be read"
        "The file does not exist, may not be read, or is not UTF-8 text.";
    Syntax "H0101" "the text is no YAML"
        "The parser could not go on at this place. Common causes: a tab used for indentation, a missing quote or bracket, a value that holds `: ` or begins with a special character and wants quotes.";
    Limit "H0102" "the file is beyond a limit"
        "A stack file may have 1 MiB of text, 64 levels of nesting, 50,000 values and 8 MiB of text once aliases are expanded. These limits keep a hostile file from exhausting the machine.";
    Tag "H0103" "tags are refused"
        "Tags such as `!custom` or `!!str` have no meaning in a stack file. Write the value without the tag; quote it to make it text.";
    Document "H0104" "one document, and not an empty one"
        "A stack file holds exactly one YAML document, and it is a mapping.";
    DuplicateKey "H0105" "a key stands twice in one mapping"
        "YAML allows a key once in a mapping. Most parsers silently keep the last; here it is an error that names both places.";
    Alias "H0106" "an alias or merge key that cannot be followed"
        "An alias (`*name`) needs an anchor (`&name`) before it, may not stand inside that anchor's own value, and a merge key (`<<`) takes a mapping or a list of mappings.";
    KeyNotText "H0107" "a key that is not text"
        "Keys are plain or quoted text; a list or a mapping cannot be a key here.";
    WrongType "H0201" "a value of the wrong type"
        "The field takes another kind of value: the message says which.";
    Missing "H0202" "something is missing"
        "A field that cannot be left out is not there, or is empty.";
    Invalid "H0203" "a value that does not fit"
        "The value is of the right kind, but what it says is not possible: a port above 65535, a duration without a known unit, a pattern that does not compile.";
    UnknownField "H0204" "an unknown field"
        "No field of this name exists here. Unknown fields are errors because a misspelt field that is silently ignored costs hours.";
    UnknownType "H0205" "an unknown type"
        "The types of target are process, process-attach, docker, docker-attach, remote (or remote-lan), package and wireguard; the types of network local, lan and wireguard.";
    WrongPlace "H0206" "a field that does not belong here"
        "The field exists, but belongs to another type of target, or stands on the wrong level.";
    Twice "H0207" "one thing said in two ways"
        "Two spellings of one field (such as `env` and `environment`), or one field both in the target and beside it. Keep one.";
    Name "H0208" "a name that cannot be used"
        "Names have 1 to 63 letters, digits, `_`, `-` and `.`, and begin with a letter or a digit.";
    Version "H0209" "an unknown version of the format"
        "The known version is 1 (or 1.0). The field may be left out.";
    Unset "H0210" "a variable is not set"
        "`${NAME}` is not set in the environment, in a `--env-file` or in `.env`, and has no default. Set it, or write `${NAME:-default}`.";
    Substitution "H0211" "a substitution that cannot be read"
        "The forms are `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`, `${NAME:+alternative}` and `${unit.attribute}`. A literal `${` is written `$${`.";
    EnvFile "H0212" "an environment file cannot be read"
        "Each line is empty, a comment, or `NAME=value`, with an optional `export ` before it and optional quotes around the value.";
    ReferenceHere "H0213" "a reference where a known value is needed"
        "References are resolved when the unit starts. This value must be known when the file is read, so it can only come from the file or the environment.";
    NotRunnable "H0301" "a target that cannot be run yet"
        "The file is right, but this program cannot run such a target yet. Starting a unit that needs it is refused.";
    NotBuilt "H0302" "a field without effect yet"
        "The field is known, but nothing would act on it yet. It is refused instead of being silently ignored.";
    Unregistered "H0303" "no implementation is registered"
        "`service_type` and `task_type` link to implementations that a specialised daemon registers. Without one the target is run as it is.";
    NothingToRun "H0304" "a task without anything to run"
        "The task has no target, and no implementation of its `task_type` is registered here.";
    Elsewhere "H0305" "a setting that belongs elsewhere"
        "The setting is known but has no effect in a stack file.";
    NeverFails "H0306" "a probe that can never fail"
        "A line of output that was seen, or a notification that came, stays so until the service ends: as a liveness probe it would never restart anything. It fits `startup` and `readiness`.";
    Cycle "H0401" "units that wait for each other"
        "Each unit of the cycle waits for the next, so none could ever start. Remove one of the dependencies that are named.";
    UnknownUnit "H0402" "an unknown service or task"
        "The dependency names something that the file does not have.";
    WrongKind "H0403" "a service where a task is named, or the reverse"
        "`- service:` names services and `- task:` names tasks; a plain name may be either.";
    DuplicateDependency "H0404" "a dependency named twice"
        "One dependency on a unit is enough; two could ask for different things.";
    SharedName "H0405" "one name for a service and a task"
        "Services and tasks share one set of names, because dependencies and references name either.";
    UnknownReference "H0406" "a reference to an unknown unit"
        "`${unit.attribute}` names a unit that the file does not have.";
    UnknownAttribute "H0407" "a reference to something the unit does not have"
        "Services have `ip`, `host`, `port`, `port.NAME`, `addr` and `url`; tasks have their outputs.";
    ReferenceOnly "H0408" "a reference to a unit that is no dependency"
        "The unit that is referred to is not, directly or through others, a dependency of the one that asks: it may have no address yet when that one starts.";
    OutsideProfiles "H0409" "a reference to a unit outside the active profiles"
        "The unit is left out because none of its profiles is active, so it will never have an address.";
    PortClash "H0501" "two units want one port"
        "Both listen on the same fixed port of this machine, or a container is published there; the second will fail to start.";
    UnknownNetwork "H0502" "an unknown network"
        "The network is not declared under `networks`. `local` always exists.";
    BareName "H0503" "a service name where it cannot resolve"
        "There is no DNS for service names outside containers. Use `${service.host}` or `${service.addr}`, or the injected variables such as `DB_HOST`.";
    NetworkNotBuilt "H0504" "a network that cannot be made yet"
        "Networks of this type cannot be made by this program yet.";
    UnknownVolume "H0505" "a volume that is not declared"
        "Volumes that containers of a stack share stand under `volumes` on the top level. A directory is written with a slash: `./data`.";
    NoForwarder "H0506" "a process that a container may not reach"
        "What listens on loopback only is carried to containers by a forwarder, for each port that the process declares in `ports`. Without one it is reached only where it listens on every address.";
    NothingToBuild "H0507" "nothing to build an image from"
        "The directory or the recipe that an image is built from is not there. Both are looked for on this machine, the recipe in the directory; a unit that needs a task may have it made by that.";
    UnknownSecret "H0601" "a secret that is not declared"
        "The name must stand under `secrets` on the top level of the file.";
    SecretSeen "H0602" "a secret where others can see it"
        "Everybody on the machine can read the arguments of every process, and paths and addresses appear in messages. Secrets may stand in `env` and in the headers of HTTP probes; a program that insists on an argument can be given `sh -c` with a file or a descriptor.";
    SecretInClear "H0603" "a value that looks like a secret, in clear"
        "The name of the variable says that its value is secret, and the value stands in the file, where version control and every reader find it. Take it from a file, a variable or a program: `NAME: {secret: {file: …}}`.";
    SecretUnread "H0604" "a secret that cannot be read"
        "The file is missing or may not be read, the variable is not set, the program failed, or what it gave is empty, too long or no text. `validate` does not run programs; `start` does, for the units that are wanted.";
    SecretExposed "H0605" "a secret's file that others can read"
        "Its permissions let other users of this machine read it. `chmod 600` keeps it to its owner.";
    ComposeLost "H0701" "something of a Compose file that is not carried over"
        "The stack file has nothing that says this, so the stack runs without it. The message says what that means, the help what can be done; docs/compose.md lists every key.";
    ComposeChanged "H0702" "something of a Compose file that means something else here"
        "It is carried over, and does not do quite the same. The message says what differs; docs/compose.md lists every key.";
    ComposeRefused "H0703" "something of a Compose file that cannot be left out"
        "Without it something else would run under the same name, such as another image. The help says how to say it in another way.";
}

/// The code of this number (`H0204`), if there is one; case does not matter.
pub fn explain(number: &str) -> Option<Code> {
    Code::ALL
        .iter()
        .copied()
        .find(|code| code.as_str().eq_ignore_ascii_case(number.trim()))
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_found_again() {
        for code in Code::ALL {
            assert_eq!(explain(code.as_str()), Some(*code));
            assert!(!code.explanation().is_empty() && !code.title().is_empty());
        }
        assert_eq!(explain("H9999"), None);
    }
}
