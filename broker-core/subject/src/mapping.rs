//! Subject mappings of an account: which subject a published one becomes.
//!
//! An ordered list; the first mapping whose source covers the subject applies, once. Where a mapping always
//! gives the same result it says so, and the holder may keep that result beside its route. Rules: CORE-111,
//! AUTH-800 to AUTH-804, CORE-P4.

use std::sync::Arc;

use crate::filter::{Filter, FilterBuf};
use crate::pattern::is_subset;
use crate::subject::Subject;
use crate::transform::{Draw, Transform, TransformError, with_placeholders};

/// Weights are shares of this.
const WHOLE: u8 = 100;

/// One destination of a mapping, as an operator writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapDestination<'a> {
    /// Destination of the [`Transform`].
    pub subject: &'a str,
    /// Its share of the messages, in percent.
    pub weight: u8,
    /// The cluster for which it stands; `None` for all that have no destinations of their own.
    pub cluster: Option<&'a str>,
}

/// A source and its destinations, checked.
///
/// When the weights of a cluster's destinations are below 100 in total, the source keeps the rest, unless it
/// is listed itself: then the rest is dropped. (AUTH-801)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    source: FilterBuf,
    general: Choices,
    by_cluster: Vec<(Box<str>, Choices)>,
}

/// Why there is no mapping. The texts are the reference's. (AUTH-800)
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// The source is no subject.
    #[error("invalid subject")]
    Source,
    /// A destination is listed twice, in whichever clusters.
    #[error("duplicate entry for {}", quoted(.0))]
    Duplicate(String),
    /// A destination has more than everything.
    #[error("individual weights need to be <= 100")]
    Weight,
    /// The destinations of a cluster have more than everything.
    #[error("total weight needs to be <= 100")]
    TotalWeight,
    /// A destination is no destination for this source.
    #[error(transparent)]
    Transform(#[from] TransformError),
}

/// The mappings of an account as one server applies them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mappings {
    list: Vec<Applied>,
}

/// What the mappings make of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped<'a> {
    /// No mapping is for it.
    Unchanged,
    /// Always this transform, which does not draw: the result may be kept until the mappings change.
    Always(&'a Transform),
    /// Every message is dropped.
    Dropped,
    /// Drawn anew for each message.
    Drawn(&'a Arc<Choices>),
}

/// Weighted transforms of one source; what is left of 100 is dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// Each with the sum of the shares up to it; no share is 0.
    list: Vec<(u8, Transform)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Applied {
    source: FilterBuf,
    choices: Arc<Choices>,
}

impl Mapping {
    /// Checks and compiles a mapping.
    pub fn new(source: &str, destinations: &[MapDestination<'_>]) -> Result<Self, MappingError> {
        let filter = FilterBuf::new(source.as_bytes()).map_err(|_| MappingError::Source)?;
        let mut mapping = Self {
            source: filter,
            general: Choices::default(),
            by_cluster: Vec::new(),
        };
        for (index, destination) in destinations.iter().enumerate() {
            let earlier = destinations.get(..index).unwrap_or_default();
            if earlier.iter().any(|other| other.subject == destination.subject) {
                return Err(MappingError::Duplicate(destination.subject.to_owned()));
            }
            if destination.weight > WHOLE {
                return Err(MappingError::Weight);
            }
            let choices = mapping.choices(destination.cluster);
            if u32::from(choices.total()) + u32::from(destination.weight) > u32::from(WHOLE) {
                return Err(MappingError::TotalWeight);
            }
            let transform = Transform::new(source, destination.subject)?;
            mapping
                .choices(destination.cluster)
                .push(destination.weight, transform);
        }
        if !destinations
            .iter()
            .any(|destination| destination.subject == source)
        {
            mapping.keep_rest(source)?;
        }
        Ok(mapping)
    }

    /// What it is for.
    pub fn source(&self) -> Filter<'_> {
        self.source.as_filter()
    }

    fn choices(&mut self, cluster: Option<&str>) -> &mut Choices {
        let Some(cluster) = cluster.filter(|name| !name.is_empty()) else {
            return &mut self.general;
        };
        let at = match self.by_cluster.iter().position(|(name, _)| **name == *cluster) {
            Some(at) => at,
            None => {
                self.by_cluster.push((cluster.into(), Choices::default()));
                self.by_cluster.len() - 1
            }
        };
        // Found or just made.
        self.by_cluster
            .get_mut(at)
            .map_or(&mut self.general, |(_, choices)| choices)
    }

    /// Lets the source have what no destination has.
    fn keep_rest(&mut self, source: &str) -> Result<(), TransformError> {
        let itself = Transform::new(source, &with_placeholders(self.source.as_filter()))?;
        let scoped = self.by_cluster.iter_mut().map(|(_, choices)| choices);
        for choices in scoped.chain([&mut self.general]) {
            choices.push(WHOLE - choices.total(), itself.clone());
        }
        Ok(())
    }
}

impl Mappings {
    /// The mappings as they apply on a server of `cluster`, in their order. One whose source was there before
    /// takes that one's place. (CORE-111, AUTH-802)
    pub fn new(mappings: impl IntoIterator<Item = Mapping>, cluster: Option<&str>) -> Self {
        let mut list: Vec<Applied> = Vec::new();
        for mapping in mappings {
            let own = mapping
                .by_cluster
                .into_iter()
                .find(|(name, _)| Some(&**name) == cluster);
            let applied = Applied {
                choices: Arc::new(own.map_or(mapping.general, |(_, choices)| choices)),
                source: mapping.source,
            };
            match list.iter_mut().find(|other| other.source == applied.source) {
                Some(other) => *other = applied,
                None => list.push(applied),
            }
        }
        Self { list }
    }

    /// Whether there is none, so that nobody needs to ask.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What becomes of `subject`. Costs a look at each mapping up to the one that applies.
    pub fn map(&self, subject: Subject<'_>) -> Mapped<'_> {
        let applies = |mapping: &&Applied| {
            mapping.source.as_bytes() == subject.as_bytes() || is_subset(subject, mapping.source.as_filter())
        };
        match self.list.iter().find(applies) {
            None => Mapped::Unchanged,
            Some(mapping) => match &*mapping.choices.list {
                [] => Mapped::Dropped,
                [(WHOLE, transform)] if !transform.is_random() => Mapped::Always(transform),
                _ => Mapped::Drawn(&mapping.choices),
            },
        }
    }
}

impl Choices {
    /// Draws one; `None` when the message is to be dropped.
    pub fn draw(&self, draw: Draw<'_>) -> Option<&Transform> {
        if let [(WHOLE, transform)] = &*self.list {
            return Some(transform);
        }
        let drawn = draw(u32::from(WHOLE));
        let chosen = self.list.iter().find(|(up_to, _)| drawn < u32::from(*up_to));
        chosen.map(|(_, transform)| transform)
    }

    fn total(&self) -> u8 {
        self.list.last().map_or(0, |(up_to, _)| *up_to)
    }

    /// Whoever adds has seen that there is room for the share.
    fn push(&mut self, share: u8, transform: Transform) {
        if share > 0 {
            self.list.push((self.total() + share, transform));
        }
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(subject: &str, weight: u8) -> MapDestination<'_> {
        MapDestination {
            subject,
            weight,
            cluster: None,
        }
    }

    fn in_cluster<'a>(subject: &'a str, weight: u8, cluster: &'a str) -> MapDestination<'a> {
        MapDestination {
            subject,
            weight,
            cluster: Some(cluster),
        }
    }

    fn subject(text: &str) -> Subject<'_> {
        Subject::new(text.as_bytes()).unwrap()
    }

    /// What each of the hundred draws makes of `text`, with how often; `-` is a drop.
    fn shares(mappings: &Mappings, text: &str) -> Vec<(String, usize)> {
        let mut shares: Vec<(String, usize)> = Vec::new();
        for drawn in 0..100 {
            let transform = match mappings.map(subject(text)) {
                Mapped::Unchanged => return vec![("unchanged".into(), 100)],
                Mapped::Always(transform) => Some(transform),
                Mapped::Dropped => None,
                Mapped::Drawn(choices) => choices.draw(&mut |_| drawn),
            };
            let result = transform.and_then(|transform| transform.apply(subject(text), &mut |_| 0));
            let result = result.map_or("-".into(), |subject| subject.to_string());
            match shares.iter_mut().find(|(known, _)| *known == result) {
                Some((_, count)) => *count += 1,
                None => shares.push((result, 1)),
            }
        }
        shares
    }

    fn one(source: &str, destinations: &[MapDestination<'_>], cluster: Option<&str>) -> Mappings {
        Mappings::new([Mapping::new(source, destinations).unwrap()], cluster)
    }

    fn check(source: &str, destinations: &[MapDestination<'_>], text: &str, expected: &[(&str, usize)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(text, count)| (text.to_string(), *count))
            .collect();
        assert_eq!(shares(&one(source, destinations, None), text), expected);
    }

    // CORE-111 [TestAccountBasicRouteMapping, TestAccountWildcardRouteMapping]
    #[test]
    fn subject_that_the_source_covers_is_mapped() {
        check("foo", &[to("bar", 100)], "foo", &[("bar", 100)]);
        check("foo", &[to("bar", 100)], "foo.x", &[("unchanged", 100)]);
        check(
            "foo.*.bar",
            &[to("b.$1.>x", 100)],
            "foo.a.bar",
            &[("b.a.>x", 100)],
        );
        check(
            "bar.*.>",
            &[to("baz.$1.>", 100)],
            "bar.q.w.x",
            &[("baz.q.w.x", 100)],
        );
        check("foo.*", &[to("bar.$1", 100)], "foo.*", &[("bar.*", 100)]);
        check("foo.*", &[to("bar.$1", 100)], "foo.", &[("unchanged", 100)]);
    }

    // AUTH-801 [TestAccountSimpleWeightedRouteMapping]
    #[test]
    fn source_keeps_what_the_weights_leave() {
        check("foo", &[to("bar", 50)], "foo", &[("bar", 50), ("foo", 50)]);
        check(
            "f.*",
            &[to("b.$1", 20), to("c.$1", 30)],
            "f.x",
            &[("b.x", 20), ("c.x", 30), ("f.x", 50)],
        );
        check("f.>", &[to("b.>", 0)], "f.x", &[("f.x", 100)]);
        check("foo", &[], "foo", &[("foo", 100)]);
    }

    // AUTH-801 [TestAccountRouteMappingsWithLossInjection]
    #[test]
    fn source_that_is_listed_loses_the_rest() {
        check(
            "foo",
            &[to("bar", 20), to("foo", 10)],
            "foo",
            &[("bar", 20), ("foo", 10), ("-", 70)],
        );
        check("foo", &[to("foo", 0)], "foo", &[("-", 100)]);
        assert_eq!(
            one("foo", &[to("foo", 0)], None).map(subject("foo")),
            Mapped::Dropped
        );
        // A wildcard source lists itself as it is written, which is no destination.
        assert!(Mapping::new("f.*", &[to("f.*", 10)]).is_err());
    }

    // AUTH-802 [TestAccountRouteMappingsWithOriginClusterFilter]
    #[test]
    fn cluster_with_destinations_of_its_own_uses_no_others() {
        let destinations = [
            to("general", 100),
            in_cluster("east", 60, "E"),
            in_cluster("west", 100, "W"),
        ];
        let in_cluster = |cluster| shares(&one("foo", &destinations, cluster), "foo");
        assert_eq!(in_cluster(Some("E")), [("east".into(), 60), ("foo".into(), 40)]);
        assert_eq!(in_cluster(Some("W")), [("west".into(), 100)]);
        assert_eq!(in_cluster(Some("other")), [("general".into(), 100)]);
        assert_eq!(in_cluster(None), [("general".into(), 100)]);
        let scoped = one("foo", &destinations[1..], None);
        assert_eq!(shares(&scoped, "foo"), [("foo".into(), 100)]);
    }

    // AUTH-804
    #[test]
    fn first_source_wins_and_the_same_source_again_replaces_in_place() {
        let mapping = |source, destination| Mapping::new(source, &[to(destination, 100)]).unwrap();
        let list = [
            mapping("a.*", "first"),
            mapping("a.>", "second.>"),
            mapping("a.*", "again"),
        ];
        let mappings = Mappings::new(list, None);
        assert_eq!(shares(&mappings, "a.b"), [("again".into(), 100)]);
        assert_eq!(shares(&mappings, "a.b.c"), [("second.b.c".into(), 100)]);
        assert!(!mappings.is_empty() && Mappings::default().is_empty());
    }

    #[test]
    fn only_a_mapping_without_chance_is_always_the_same() {
        let is_always = |destinations: &[MapDestination<'_>]| {
            matches!(
                one("foo.*", destinations, None).map(subject("foo.a")),
                Mapped::Always(_)
            )
        };
        assert!(is_always(&[to("b.{{partition(3,1)}}", 100)]));
        assert!(is_always(&[to("b", 100), to("c", 0)]));
        assert!(!is_always(&[to("b.{{random(3)}}", 100)]));
        assert!(!is_always(&[to("b", 99)]));
    }

    // AUTH-800, CORE-111
    #[test]
    fn error_has_the_text_of_the_reference() {
        let error = |source, destinations: &[_]| Mapping::new(source, destinations).unwrap_err().to_string();
        assert_eq!(error("foo..", &[]), "invalid subject");
        assert_eq!(
            error("foo", &[to("a", 1), to("a", 1)]),
            "duplicate entry for \"a\""
        );
        assert_eq!(
            error("foo", &[to("a", 1), in_cluster("a", 1, "C")]),
            "duplicate entry for \"a\""
        );
        assert_eq!(
            error("foo", &[to("a", 101)]),
            "individual weights need to be <= 100"
        );
        assert_eq!(
            error("foo", &[to("a", 60), to("b", 41)]),
            "total weight needs to be <= 100"
        );
        assert!(Mapping::new("foo", &[to("a", 60), in_cluster("b", 60, "C")]).is_ok());
        assert_eq!(
            error("foo.*", &[to("b.$2", 100)]),
            "invalid mapping destination: wildcard index out of range in $2: [2]"
        );
    }
}
