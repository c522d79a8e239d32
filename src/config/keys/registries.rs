//! The keys of registries: `[[upstream]]` and what is in it, and those of `[tags]`, which are there as well.

use super::Kind::{OneOf, Path, Table, Tables, Text, Texts, TextsOrTables, Time, Truth};
use super::Presence::{Default, Otherwise, Required};
use super::{AUDIENCES, Key};

const FRESHNESS: Key = Key::new(
    "freshness",
    Time("10m"),
    Otherwise("by what the tag looks like"),
    "How long a tag goes out before its registry is asked again, give or take a tenth: a duration, \"always\" (ask each time) \
     or \"immutable\" (never ask again). Danger: with \"immutable\", a tag that moves upstream keeps its old content here. What \
     is written in [tags] or for an upstream counts for private repositories too, of which the default is 5 seconds: for as \
     long, who lost access keeps what is here.",
);
const STALE_ON_UNREACHABLE: Key = Key::new(
    "stale_on_unreachable",
    Time("72h"),
    Otherwise("\"unlimited\""),
    "How long, after that, it still goes out while the registry cannot be reached or is in trouble: a duration, 0 (not at \
     all) or \"unlimited\".",
);
const STALE_ON_RATE_LIMIT: Key = Key::new(
    "stale_on_rate_limit",
    Time("72h"),
    Otherwise("\"unlimited\""),
    "The same, while the registry allows no more requests.",
);
const STALE_ON_NOT_FOUND: Key = Key::new(
    "stale_on_not_found",
    Time("1h"),
    Otherwise("0"),
    "The same, while the registry says that there is no such tag. Danger: with more, what was deleted upstream can still be \
     pulled here.",
);
const STALE_ON_DENIED: Key = Key::new(
    "stale_on_denied",
    Time("24h"),
    Otherwise("\"24h\" for what is public, 0 for what is private"),
    "The same, while the registry refuses larder. Danger: with more, who lost access upstream can still pull here what is \
     private.",
);
const ANSWER_WITHIN: Key = Key::new(
    "answer_within",
    Time("1.5s"),
    Otherwise("\"1.5s\""),
    "How long a client waits for the registry before it gets what is here, and the registry is asked on behind it: a \
     duration up to 10s; 0 is not at all.",
);

/// `[tags]`.
pub(super) const TAG_KEYS: &[Key] = &[
    FRESHNESS,
    STALE_ON_UNREACHABLE,
    STALE_ON_RATE_LIMIT,
    STALE_ON_NOT_FOUND,
    STALE_ON_DENIED,
    ANSWER_WITHIN,
];

const TAG_RULE: &[Key] = &[
    Key::new(
        "match",
        Text("library/alpine:3.*"),
        Required,
        "Which tags: repository:tag, as the registry calls them; without ':', all tags. * stops at /, ** does not.",
    ),
    FRESHNESS,
    STALE_ON_UNREACHABLE,
    STALE_ON_RATE_LIMIT,
    STALE_ON_NOT_FOUND,
    STALE_ON_DENIED,
    ANSWER_WITHIN,
];

/// `[[upstream]]`.
pub(super) const UPSTREAM: &[Key] = &[
    Key::new(
        "name",
        Text("registry.example.com"),
        Required,
        "host or host:port; * stands for one whole label, as in *.dkr.ecr.*.amazonaws.com.",
    ),
    Key::new(
        "endpoints",
        TextsOrTables(ENDPOINT),
        Otherwise("https:// and the name"),
        "Where the registry is asked, in this order: a text, or a table with url and more. The last one decides. Danger: with \
         http://, whoever is on the way can say where a tag leads.",
    ),
    Key::new(
        "aliases",
        Texts("hub"),
        Default("[]"),
        "First path segments that mean this upstream, as hub in larder:5000/hub/library/alpine.",
    ),
    Key::new(
        "hosts",
        Texts("hub.larder.example"),
        Default("[]"),
        "Host names of larder under which it is this upstream only.",
    ),
    FRESHNESS,
    STALE_ON_UNREACHABLE,
    STALE_ON_RATE_LIMIT,
    STALE_ON_NOT_FOUND,
    STALE_ON_DENIED,
    ANSWER_WITHIN,
    Key::new(
        "offline",
        Truth,
        Otherwise("what server.offline says"),
        "Whether it is never asked.",
    ),
    Key::new(
        "share",
        OneOf(AUDIENCES),
        Default("\"this-machine\""),
        "Who gets what only a login can pull: \"this-machine\", or \"everyone\" who reaches server.listen. Danger: with \
         \"everyone\", who reaches larder can pull private images without a login.",
    ),
    Key::new(
        "token_hosts",
        Texts("auth.example.com"),
        Default("[]"),
        "Hosts, host or host:port, whose token services are given the logins, beside those of the registry's own domain. \
         Danger: they get the passwords.",
    ),
    Key::new(
        "credentials",
        Table(LOGIN),
        Otherwise("none"),
        "The login for all repositories. It goes to the last endpoint alone; others have their own.",
    ),
    Key::section(
        "tag_rule",
        Tables(TAG_RULE),
        "Other keys of [tags] for some of its tags. The first that matches counts.",
    ),
    Key::section(
        "credential",
        Tables(CREDENTIAL),
        "Other logins for some repositories. The first that matches counts.",
    ),
];

const ENDPOINT: &[Key] = &[
    Key::new(
        "url",
        Text("https://registry.example.com"),
        Required,
        "http or https, host, port, and the path before /v2/ if there is one.",
    ),
    Key::new(
        "ca_file",
        Path("/etc/larder/ca.pem"),
        Otherwise("none"),
        "A file with certificates in PEM form that are trusted there beside those of the system.",
    ),
    Key::new(
        "client_cert_file",
        Path("/etc/larder/client.pem"),
        Otherwise("none"),
        "A file with the certificate in PEM form that larder shows there. Needs client_key_file.",
    ),
    Key::new(
        "client_key_file",
        Path("/etc/larder/client.key"),
        Otherwise("none"),
        "A file with the key of that certificate in PEM form.",
    ),
    Key::new(
        "skip_tls_verify",
        Truth,
        Default("false"),
        "Whether any certificate is taken. Danger: whoever is on the way can say where a tag leads, and sees the logins.",
    ),
    Key::new(
        "http_fallback",
        Truth,
        Default("false"),
        "Whether it is asked without encryption when it does not speak TLS or refuses the connection. Danger: that of \
         http://.",
    ),
    Key::new(
        "override_path",
        Truth,
        Default("false"),
        "Whether the path of url is that of the API already, so that no /v2/ is added.",
    ),
    Key::new(
        "digests_only",
        Truth,
        Default("false"),
        "Whether it is only asked for what a digest names, and not believed what tags point at. Not for the last endpoint.",
    ),
    Key::new(
        "credentials",
        Table(LOGIN),
        Otherwise("none"),
        "Its own login. For the last endpoint, that of the upstream comes first.",
    ),
];

const USERNAME: Key = Key::new(
    "username",
    Text("acme"),
    Otherwise("none"),
    "The user. Needs password_file or password_env.",
);
const PASSWORD_FILE: Key = Key::new(
    "password_file",
    Path("/run/secrets/hub"),
    Otherwise("none"),
    "A file whose first line is the password. Read again when it changes.",
);
const PASSWORD_ENV: Key = Key::new(
    "password_env",
    Text("HUB_PASSWORD"),
    Otherwise("none"),
    "A variable that holds the password.",
);
const NEXT_PASSWORD_FILE: Key = Key::new(
    "next_password_file",
    Path("/run/secrets/hub-next"),
    Otherwise("none"),
    "A file with the password that is tried when the one of password_file is refused.",
);
const IDENTITY_TOKEN_FILE: Key = Key::new(
    "identity_token_file",
    Path("/run/secrets/token"),
    Otherwise("none"),
    "A file with a token that the registry's token service changes for others.",
);
const IDENTITY_TOKEN_ENV: Key = Key::new(
    "identity_token_env",
    Text("REGISTRY_TOKEN"),
    Otherwise("none"),
    "A variable that holds a token that the registry's token service changes for others.",
);
const REGISTRY_TOKEN_FILE: Key = Key::new(
    "registry_token_file",
    Path("/run/secrets/token"),
    Otherwise("none"),
    "A file with a token that is shown to the registry as it is.",
);
const REGISTRY_TOKEN_ENV: Key = Key::new(
    "registry_token_env",
    Text("CI_TOKEN"),
    Otherwise("none"),
    "A variable that holds a token that is shown to the registry as it is.",
);
const AUTH_FILE: Key = Key::new(
    "auth_file",
    Path("/etc/larder/auth.json"),
    Otherwise("none"),
    "A file that docker or podman wrote (config.json, auth.json): what it says of this registry.",
);
const HELPER: Key = Key::new(
    "helper",
    Text("ecr-login"),
    Otherwise("none"),
    "The program docker-credential-<helper>, found by PATH, which is asked for this registry.",
);

/// A login, of which exactly one source has to be written.
const LOGIN: &[Key] = &[
    USERNAME,
    PASSWORD_FILE,
    PASSWORD_ENV,
    NEXT_PASSWORD_FILE,
    IDENTITY_TOKEN_FILE,
    IDENTITY_TOKEN_ENV,
    REGISTRY_TOKEN_FILE,
    REGISTRY_TOKEN_ENV,
    AUTH_FILE,
    HELPER,
];

const CREDENTIAL: &[Key] = &[
    Key::new(
        "match",
        Text("team-a/**"),
        Required,
        "Which repositories, as the registry calls them: * stops at /, ** does not.",
    ),
    USERNAME,
    PASSWORD_FILE,
    PASSWORD_ENV,
    NEXT_PASSWORD_FILE,
    IDENTITY_TOKEN_FILE,
    IDENTITY_TOKEN_ENV,
    REGISTRY_TOKEN_FILE,
    REGISTRY_TOKEN_ENV,
    AUTH_FILE,
    HELPER,
    Key::new(
        "anonymous",
        Truth,
        Default("false"),
        "In place of a login: these repositories are asked for as nobody.",
    ),
    Key::new(
        "share",
        OneOf(AUDIENCES),
        Otherwise("the one of the upstream"),
        "As in [[upstream]], for these repositories.",
    ),
];
