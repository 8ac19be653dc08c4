//! The volumes of a stack.

use std::collections::BTreeMap;

use service_orchestration::spec::VolumeSpec;

use super::Decoder;
use super::unit::labels;
use crate::keys::VOLUME;
use crate::report::Code;
use crate::table::Fields;
use crate::yaml::{Entry, Node};

impl Decoder<'_> {
    /// What the top level declares.
    pub(super) fn declared_volumes(&mut self, fields: &Fields<'_>) -> BTreeMap<String, VolumeSpec> {
        let entries = fields.node("volumes").map(Node::entries);
        let mut volumes = BTreeMap::new();
        for entry in entries.unwrap_or_default() {
            let volume = self.volume(entry);
            volumes.insert(entry.key.clone(), volume);
        }
        volumes
    }

    fn volume(&mut self, entry: &Entry) -> VolumeSpec {
        if crate::keys::name(&entry.key).is_err() {
            let message = format!(
                "`{}` is no name of a volume",
                crate::yaml::shorten(&entry.key)
            );
            self.sink
                .error(Code::Name, entry.key_span, message)
                .help("up to 63 letters, digits, `_`, `-` or `.`, the first a letter or digit");
        }
        let fields = Fields::new(&entry.value, VOLUME.fields);
        let external = fields.flag("external").unwrap_or(false);
        for key in ["driver", "driver_opts", "labels"] {
            if let Some(entry) = fields.entry(key).filter(|_| external) {
                let message = format!("`{key}` says how a volume is made, and this one is there");
                self.sink.error(Code::WrongPlace, entry.key_span, message);
            }
        }
        let options = fields.node("driver_opts").map(Node::entries);
        let options = options.unwrap_or_default().iter().filter_map(|option| {
            let text = option.value.scalar()?.literal()?;
            Some((option.key.clone(), text.to_owned()))
        });
        VolumeSpec {
            engine_name: fields.owned("name"),
            external,
            driver: fields.owned("driver"),
            driver_opts: options.collect(),
            labels: labels(fields.node("labels")),
        }
    }
}
