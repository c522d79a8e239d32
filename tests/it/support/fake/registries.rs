//! Real registries and what they do differently from others.
//!
//! Each behaves as far as is known from the sources that its comment names. What is marked with (?) there is general
//! knowledge that nobody has verified; the names of tests that stand on it say "assumed". The paths and names of token
//! services are the real ones. What stands at another host in reality is another fake registry, which the test starts.

use http::HeaderName;
use serde_json::{Value, json};

use super::FakeRegistry;
use super::bearer::Bearer;
use super::builder::Builder;
use super::fault::Fault;
use super::request::Kind;

/// The user whose password is an identity token of an Azure registry.
pub const ACR_TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

/// Public registries.
impl FakeRegistry {
    /// Docker Hub: one status for what is absent and what is private, and a limit of pulls. (docker/docs,
    /// `docker-hub/usage/pulls.md`; openshift/origin, `dockerv1client/client.go`; that blobs are elsewhere: (?).)
    pub fn docker_hub(storage: &Self) -> Builder {
        Self::builder()
            .bearer_with(Bearer::own().service("registry.docker.io"))
            .tokens(|tokens| tokens.in_fields(&["token", "access_token"]))
            .habit(
                Fault::on(Kind::Token)
                    .answered(401)
                    .body(r#"{"details":"incorrect username or password"}"#),
            )
            .hides_absence(401)
            .pull_limit(100, 21_600)
            .blobs_at(storage, 307)
    }

    /// GitHub's: the token service itself refuses what is absent or private. (openai/tunnel-client#75,
    /// sigstore/scaffolding#127.)
    pub fn ghcr(storage: &Self) -> Builder {
        Self::builder()
            .bearer_with(Bearer::own().service("ghcr.io"))
            .tokens(|tokens| tokens.refuse_hidden(403))
            .blobs_at(storage, 307)
    }

    /// Google's: a challenge with the ping only, no POST for tokens, more in the list of tags than tags.
    /// (containers/image, `docker_client.go`; containerd, `authorizer.go`; go-containerregistry, `google/list.go`; that
    /// blobs are elsewhere: (?).)
    pub fn gcr(storage: &Self) -> Builder {
        Self::builder()
            .bearer_with(Bearer::own().service("gcr.io").on_ping_only())
            .tokens_at("/v2/token")
            .tokens(|tokens| tokens.refuse_post(404))
            .habit(Fault::on(Kind::Tags).edit(|document| {
                document["child"] = json!(["nested"]);
                document["manifest"] = json!({});
            }))
            .blobs_at(storage, 302)
    }

    /// Amazon's public one: tokens for anybody, and no list of tags for them (?).
    pub fn ecr_public(storage: &Self) -> Builder {
        Self::builder()
            .bearer_with(Bearer::own().service("public.ecr.aws"))
            .tokens_at("/token/")
            .habit(Fault::on(Kind::Tags).found().status(401))
            .blobs_at(storage, 307)
    }

    /// Microsoft's public one: no tokens; blobs are at a host of the region (?).
    pub fn mcr(regional: &Self) -> Builder {
        Self::builder().blobs_at(regional, 307)
    }

    /// Red Hat's: how blobs are reached is (?). (containers/image, `docker_image_src.go`.)
    pub fn quay(storage: &Self) -> Builder {
        Self::builder()
            .bearer_with(Bearer::own().service("quay.io"))
            .tokens_at("/v2/auth")
            .blobs_at(storage, 302)
    }

    /// The one of Kubernetes, which has nothing itself: manifests are at another registry, blobs in a bucket.
    /// (kubernetes/registry.k8s.io, `cmd/archeio/docs/request-handling.md`.)
    pub fn registry_k8s_io(regional: &Self, storage: &Self) -> Builder {
        let images = format!("{}/v2/k8s-artifacts-prod/images", regional.url());
        let manifest = format!("{images}/{{repository}}/manifests/{{digest}}");
        let blob = format!("{}/storage/{{digest}}", storage.url());
        Self::builder()
            .habit(Fault::on(Kind::MANIFEST).redirect(307, manifest))
            .habit(Fault::on(Kind::BLOB).redirect(307, blob))
    }

    /// Red Hat's old one: manifests are called plain text. (containerd, `resolver.go`.)
    pub fn red_hat_access() -> Builder {
        Self::builder().habit(Fault::on(Kind::MANIFEST).content_type("text/plain"))
    }

    /// NVIDIA's: its own path for tokens (?). The user is `$oauthtoken`.
    pub fn nvcr() -> Builder {
        Self::builder().bearer().tokens_at("/proxy_auth")
    }
}

/// Registries that want to know who asks, always.
impl FakeRegistry {
    /// Amazon's private one: a password for some hours on every request, but not to the bucket that it redirects to.
    /// (open-policy-agent/opa#6580, #6728.)
    pub fn ecr_private(storage: &Self, password: &str) -> Builder {
        Self::builder()
            .basic("AWS", password)
            .blobs_at(storage, 307)
    }

    /// Azure's: a POST with a password is refused, one with an identity token is not (containerd, `authorizer.go`); the
    /// identity token is also the password of a certain user (?).
    pub fn acr(storage: &Self, identity: &str) -> Builder {
        Self::builder()
            .bearer_with(Bearer::own().service("acme.azurecr.io"))
            .tokens_at("/oauth2/token")
            .tokens(|tokens| {
                tokens.refuse_grant("password", 400);
                tokens.refuse_anonymous(401);
                tokens.in_fields(&["access_token"]);
            })
            .identity("acme", identity)
            .user(ACR_TOKEN_USER, identity)
            .blobs_at(storage, 307)
    }

    /// Red Hat's new one: logins always, and its own words for what is not there. (containers/image,
    /// `isManifestUnknownError`.)
    pub fn red_hat_io() -> Builder {
        Self::builder()
            .bearer_with(Bearer::own().service("docker-registry"))
            .tokens_at("/auth/realms/rhcc/protocol/redhat-docker-v2/auth")
            .tokens(|tokens| tokens.refuse_anonymous(401))
            .habit(
                Fault::everywhere()
                    .answered(404)
                    .body(r#"{"errors":[{"code":"UNKNOWN","message":"Not Found"}]}"#),
            )
    }
}

/// Registries that people run themselves.
impl FakeRegistry {
    /// Harbor: its own words for what is not there, and a packed length in the answer to a HEAD. (containers/image,
    /// `isManifestUnknownError`; oras-go, `repository.go`.)
    pub fn harbor() -> Builder {
        let absent = r#"{"errors":[{"code":"NOT_FOUND","message":"artifact app:1 not found"}]}"#;
        Self::builder()
            .bearer_with(Bearer::own().service("harbor-registry"))
            .tokens_at("/service/token")
            .habit(Fault::everywhere().answered(404).body(absent))
            .habit(Fault::on(Kind::ManifestHead).claims_gzip().wrong_length(77))
    }

    /// Artifactory: absence is 403, POST for a token is 401, digests are among the tags. (go-containerregistry,
    /// `pusher.go`; containerd, `authorizer.go`; containers/image, `docker_image.go`.)
    pub fn artifactory() -> Builder {
        Self::builder()
            .bearer()
            .tokens_at("/artifactory/api/docker/docker-remote/v2/token")
            .tokens(|tokens| tokens.refuse_post(401))
            .hides_absence(403)
            .habit(Fault::on(Kind::MANIFEST).answered(404).status(403))
            .habit(Fault::on(Kind::Tags).edit(|document| {
                let digest = format!("sha256:{}", "a".repeat(64));
                document["tags"].as_array_mut().unwrap().push(digest.into());
            }))
    }

    /// Nexus: nulls among the tags. (containers/image, `docker_image.go`.)
    pub fn nexus() -> Builder {
        Self::builder().habit(Fault::on(Kind::Tags).edit(|document| {
            let tags = document["tags"].as_array_mut().unwrap();
            tags.insert(0, Value::Null);
        }))
    }

    /// GitLab: tokens come from another host (?), which is [`FakeRegistry::gitlab_tokens`].
    pub fn gitlab(issuer: &Self, storage: &Self) -> Builder {
        Self::builder()
            .bearer_with(Bearer::issued_by(issuer).service("container_registry"))
            .blobs_at(storage, 307)
    }

    /// The web site of GitLab, which issues the tokens.
    pub fn gitlab_tokens() -> Builder {
        Self::builder().tokens_at("/jwt/auth")
    }

    /// The registry inside OpenShift: any name with a token as the password, by Basic or at the token service.
    /// (containers/image, `docker_image_src.go`.)
    pub fn open_shift(token: &str) -> Builder {
        let signatures = HeaderName::from_static("x-registry-supports-signatures");
        Self::builder()
            .bearer()
            .tokens_at("/openshift/token")
            .tokens(|tokens| tokens.refuse_anonymous(401))
            .basic("developer", token)
            .any_name(token)
            .habit(Fault::everywhere().header(signatures, "1"))
    }

    /// Pulp with Crane, which speaks version 1 of the API only: all that is asked for under `/v2/` is a page of 404.
    /// (openshift/origin, `dockerv1client/client.go`.)
    pub fn pulp_v1() -> Builder {
        let version = HeaderName::from_static("docker-distribution-api-version");
        let nothing = Fault::everywhere().status(404).html();
        Self::builder().habit(nothing.without_header(version))
    }
}
