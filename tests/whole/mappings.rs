//! Mappings that draw, on a whole broker: chance comes from the broker's seed, so each run draws alike.

use dunlin_net::sim::SimWorld;

use crate::sim::{self, Client, host};

/// Messages on each of `subjects`, of `count` published to `foo` at a broker with these mappings.
async fn shares(mappings: &str, subjects: [&str; 3], count: usize) -> [usize; 3] {
    let world = SimWorld::new(1);
    let (broker, _) = sim::start_logged(&world, host(1), mappings).await;
    let mut client = Client::log_in(&world, host(100), &broker).await;
    client.send("SUB > 1\r\n").await;
    client.send(&"PUB foo 1\r\n.\r\n".repeat(count)).await;
    client.send("PUB end 1\r\n!\r\n").await;
    let got = client.expect("!\r\n").await;
    subjects.map(|subject| got.matches(&format!("MSG {subject} 1 1\r\n.\r\n")).count())
}

// AUTH-801, CORE-111 [TestAccountSimpleWeightedRouteMapping, TestAccountMultiWeightedRouteMappings]
#[test]
fn messages_are_shared_by_weight_and_none_is_lost() {
    sim::run(async || {
        let mappings = "mappings { foo: [{dest: bar, weight: 50}, {dest: baz, weight: 30}] }";
        let [bar, baz, foo] = shares(mappings, ["bar", "baz", "foo"], 5000).await;
        assert_eq!(bar + baz + foo, 5000);
        assert!(
            (2300..2700).contains(&bar) && (1300..1700).contains(&baz),
            "{bar}, {baz}, {foo}"
        );
    });
}

// AUTH-801 [TestAccountRouteMappingsWithLossInjection]
#[test]
fn messages_beyond_the_weights_of_a_listed_source_are_lost() {
    sim::run(async || {
        let mappings = "mappings { foo: [{dest: foo, weight: 20}, {dest: bar, weight: \"20%\"}] }";
        let [foo, bar, _] = shares(mappings, ["foo", "bar", "none"], 5000).await;
        assert!(
            (850..1150).contains(&foo) && (850..1150).contains(&bar),
            "{foo}, {bar}"
        );
    });
}

// CORE-106 [TestSubjectTransforms]
#[test]
fn random_token_is_drawn_for_each_message() {
    sim::run(async || {
        let mappings = "mappings { foo: \"part.{{random(3)}}\" }";
        let parts = shares(mappings, ["part.0", "part.1", "part.2"], 3000).await;
        assert_eq!(parts.iter().sum::<usize>(), 3000);
        assert!(parts.iter().all(|part| (850..1150).contains(part)), "{parts:?}");
    });
}
