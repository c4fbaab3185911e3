//! What is tried with each browser.

mod channels;
mod closing;
mod example;
mod messages;
mod negotiation;
mod programs;
mod reliability;
mod restart;

use std::pin::Pin;

use crate::harness::browser::{Browser, Kind, Setup};

type Run = for<'a> fn(&'a Browser) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
    pub(crate) setup: Setup,
    /// Whether it wants the page of the `browser` example.
    pub(crate) example: bool,
    only: Option<Kind>,
}

impl Case {
    pub(crate) fn is_for(&self, kind: Kind) -> bool {
        self.only.is_none_or(|only| only == kind)
    }

    fn setup(mut self, setup: Setup) -> Self {
        self.setup = setup;
        self
    }

    fn example(mut self) -> Self {
        self.example = true;
        self
    }

    fn only(mut self, kind: Kind) -> Self {
        self.only = Some(kind);
        self
    }
}

/// A function of the modules above as a case of the same name.
macro_rules! case {
    ($module:ident :: $name:ident) => {
        Case {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |browser| Box::pin($module::$name(browser)),
            setup: Setup::Default,
            example: false,
            only: None,
        }
    };
}

pub(crate) fn all() -> Vec<Case> {
    vec![
        case!(messages::every_kind_comes_back),
        case!(messages::huge_messages_both_ways).only(Kind::Firefox),
        case!(messages::too_large_is_refused_and_the_channel_lives),
        case!(channels::a_hundred_from_each_end),
        case!(channels::parameters_arrive),
        case!(channels::negotiated_by_the_applications),
        case!(reliability::limited_channels_lose_only_what_they_may),
        case!(closing::a_channel_from_either_end),
        case!(closing::the_connection_from_either_end),
        case!(closing::a_reloaded_page_connects_again),
        case!(negotiation::both_dtls_roles),
        case!(negotiation::both_dtls_roles).setup(Setup::Plain),
        case!(negotiation::media_is_rejected_and_data_works),
        case!(negotiation::data_and_media_are_added_later),
        case!(negotiation::candidates_trickle),
        case!(restart::from_either_end_under_load),
        case!(restart::after_the_path_broke),
        // Its page gathers as it is loaded, before a Firefox of the harness has its addresses.
        case!(programs::echo_sends_back).only(Kind::Chromium),
        case!(programs::chat_with_a_page),
        case!(programs::a_file_from_either_end),
        case!(example::echoes_text_bytes_empty_messages_and_256_kib).example(),
        case!(example::connects_in_both_dtls_roles_and_reports_an_srtp_profile).example(),
        case!(example::audio_and_video_are_rejected_and_data_works).example(),
        case!(example::everything_arrives_at_every_rate).example(),
        case!(example::full_speed_loses_nothing_and_never_stalls).example(),
        case!(example::errors_reach_the_page).example(),
    ]
}
