//! The scripts of `tests/differential`, each a test: the reference and Dunlin must give the same transcript.

use dunlin_tests::differential::{self, Script};
use dunlin_tests::server::Kind;
use dunlin_tests::skip;

/// One test a script, and one that none is forgotten.
macro_rules! scripts {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        #[test]
        fn every_script_is_listed() {
            assert_eq!(differential::names().expect("the folder"), [$(stringify!($name)),*]);
        }
    };
}

scripts! {
    accounts_are_isolated
    accounts_default_permissions
    accounts_limit_of_no_subscriptions
    accounts_limits
    auth_bcrypt
    auth_bcrypt_of_one_user
    auth_bcrypt_token
    auth_before_connect
    auth_beside_a_system_account
    auth_connect_after_no_auth_user
    auth_connection_types
    auth_no_auth_user
    auth_no_auth_user_of_another_kind
    auth_no_auth_user_without_connect
    auth_nothing_required
    auth_timeout
    auth_timeout_of_a_token
    auth_token
    auth_token_before_connect
    auth_twice
    auth_user_and_password
    auth_users
    client_hmsg
    config_accounts
    config_comment_at_the_end
    config_durations
    config_empty
    config_exports
    config_includes
    config_jetstream
    config_leafnodes
    config_limits_of_keys
    config_listen_addresses
    config_listeners
    config_no_auth_user
    config_operator
    config_peers
    config_permissions
    config_places
    config_places_of_permissions
    config_several_errors
    config_syntax
    config_tls
    config_unknown_fields
    config_users
    config_variables
    config_wrong_shapes
    config_wrong_types
    config_wrong_types_at_once
    connect_after_operations
    connect_again
    connect_again_switches_account
    connect_again_with_limits_of_another_account
    connect_again_with_wrong_password
    connect_bad_json
    connect_changes_the_protocol
    connect_empty
    connect_headers_and_later_not
    connect_names_an_account
    connect_names_an_account_without_users
    connect_no_echo
    connect_no_responders_needs_headers
    connect_null
    connect_odd_json
    connect_pedantic
    connect_pedantic_split
    connect_protocol_range
    connect_quiet
    connect_refused_after_login
    connect_verbose
    connect_without
    disconnect_removes_interest
    header_sizes_that_lie
    headers
    headers_of_no_size
    headers_refused
    headers_stripped
    incoming_ok_err_info
    info_advertise_ipv6
    info_advertise_port_zero
    info_advertise_without_port
    info_after_connect
    info_after_early_ping
    info_auth_required
    info_configured
    info_default
    info_names_the_account
    info_of_an_account_called_sys
    info_of_no_auth_user
    info_small_payload_of_the_account
    info_without_headers
    mapping_allow_responses
    mapping_clusters
    mapping_drops
    mapping_functions
    mapping_no_responders
    mapping_of_a_source_that_splits
    mapping_of_accounts
    mapping_of_odd_subjects
    mapping_of_the_system_account
    mapping_once
    mapping_partition
    mapping_pedantic
    mapping_permissions
    mapping_queue_groups
    mapping_simple
    mapping_to_reserved_subjects
    mapping_wildcards
    max_connections
    max_connections_none
    max_control_line
    max_control_line_default
    max_control_line_of_connect
    max_payload
    max_payload_before_connect
    max_payload_minus_one
    max_subscription_tokens
    max_subscriptions
    max_subscriptions_of_a_queue
    must_fail
    must_fail_half_way
    must_fail_in_every_word
    must_fail_quietly
    must_fail_without_arguments
    nkey_and_users
    nkey_before_connect
    nkey_connection_types
    nkey_in_accounts
    nkey_in_open_server
    nkey_login
    nkey_no_auth_user
    nkey_permissions
    nkey_twice
    nkey_without_nkey_users
    no_responders
    no_responders_after_unsub_max
    no_responders_rules
    numbers_in_connect
    operations_of_other_peers
    order_of_checks_of_pub
    order_of_one_publisher
    other_protocols
    other_protocols_before_login
    overlapping_subscriptions
    permissions_allow_responses
    permissions_allow_responses_beside_rules
    permissions_allow_responses_end
    permissions_allow_responses_repeated
    permissions_before_limits
    permissions_default
    permissions_deny_and_no_responders
    permissions_deny_at_delivery
    permissions_deny_in_queue_group
    permissions_deny_of_a_queue
    permissions_deny_of_own_messages
    permissions_deny_overlaps
    permissions_odd_subjects
    permissions_of_an_account
    permissions_of_queue_patterns
    permissions_of_queues
    permissions_of_queues_one_by_one
    permissions_of_roles
    permissions_publish
    permissions_shorthand
    permissions_subscribe
    permissions_subscribe_full_wildcard
    ping_answered
    ping_answered_too_early
    ping_case_and_blanks
    ping_interval
    ping_of_any_length
    ping_pong
    proxy_and_no_auth_user
    proxy_before_login
    proxy_byte_by_byte
    proxy_in_open_server
    proxy_local
    proxy_nobody_trusted
    proxy_none
    proxy_off
    proxy_required_of_a_token
    proxy_required_of_no_auth_user
    proxy_required_of_the_block_is_not_of_its_users
    proxy_required_of_the_single_user
    proxy_trusted
    proxy_v1
    proxy_v1_line_length
    proxy_v1_mapped
    proxy_v1_ports
    proxy_v1_refused
    proxy_v1_words
    proxy_v2
    proxy_v2_refused
    pub_any_payload
    pub_any_subject
    pub_carriage_return_inside
    pub_empty_payload
    pub_forms
    pub_large_payload
    pub_reply_any
    pub_size_digits
    pub_size_digits_after_tabs
    pub_sizes_refused
    pub_sub
    queue_group
    queue_group_member_leaves
    queue_group_no_echo
    queue_group_on_one_connection
    queue_group_over_subjects
    queue_groups_and_plain
    queue_groups_on_one_connection
    reload_account_added
    reload_account_payload
    reload_all_or_nothing
    reload_allow_responses
    reload_bad_file
    reload_client_advertise
    reload_lines
    reload_max_connections_enough
    reload_max_connections_none
    reload_max_control_line
    reload_max_payload
    reload_no_auth_user
    reload_nothing_changed
    reload_password_changed
    reload_permissions_at_delivery
    reload_permissions_default
    reload_permissions_narrowed
    reload_permissions_of_queues
    reload_permissions_widened
    reload_refused
    reload_refused_in_order
    reload_single_user_changed
    reload_system_account
    reload_token_changed
    reload_token_not_required
    reload_token_required
    reload_user_moves
    reload_user_removed
    reload_users_required
    request_reply
    reserved_queue_group
    reserved_replies
    reserved_subjects
    sizes_that_are_none
    split_at_every_byte
    split_between_reads
    sub_any_sid
    sub_duplicate_sid
    sub_forms
    sub_invalid_subjects
    system_account
    system_account_only
    unsub
    unsub_after_unsub_max
    unsub_max
    unsub_max_already_reached
    unsub_max_forms
    unsub_max_in_queue_group
    unsub_max_of_own_messages
    unsub_numbers
    verbose_refusals
    wildcard_characters_in_literals
    wildcards
    words_of_any_bytes
}

fn check(name: &str) {
    let path = differential::folder().join(format!("{name}.script"));
    let script = Script::load(&path).unwrap_or_else(|error| panic!("{error}"));
    if Kind::Reference.program().is_ok_and(|program| program.is_none()) {
        skip!("the reference server is not installed");
    }
    let play = |kind| differential::play(&script, kind).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    let (reference, dunlin) = (play(Kind::Reference), play(Kind::Dunlin));
    let comparison = differential::compare(&reference, &dunlin);
    let shown = comparison.side_by_side(150);
    assert!(
        !comparison.reference_hangs(),
        "the reference does not do what {name} waits for\n{shown}"
    );
    match differential::deliberate(name) {
        None => assert!(comparison.is_equal(), "{name}: transcripts differ\n{shown}"),
        Some(deliberate) => {
            assert!(
                !comparison.is_equal(),
                "{name}: differs no more, remove {name}.dunlin"
            );
            let wanted = differential::compare(&deliberate, &dunlin);
            assert!(
                wanted.is_equal(),
                "{name}: not as in {name}.dunlin, shown on the left\n{}",
                wanted.side_by_side(150)
            );
        }
    }
}
