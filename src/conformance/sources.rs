//! Where rules come from.

/// The published reference integrator, at the commit that was read.
macro_rules! reference {
    ($path:literal) => {
        concat!(
            "https://github.com/billwerk/third-party-psp-integrations/tree/",
            "4c1102bd53b6ab433022b0016a204087e4eadf1f/PaymentGateway",
            $path
        )
    };
}

/// A published document, or a part of billwerk's own reference integrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doc {
    Introduction,
    IntegrationFlow,
    PreauthFlow,
    PaymentFlow,
    RefundFlow,
    Notification,
    ErrorHandling,
    PreauthPost,
    PaymentPost,
    RefundPost,
    Prenotification,
    Requests,
    Responses,
    Enums,
    Settings,
    Controllers,
    Json,
    Handlers,
    States,
    Notifier,
    Examples,
    FakeProvider,
    Sample2020Notices,
    Sample2020Access,
    /// Nothing published says it; what sensible integrators do.
    Convention,
}

impl Doc {
    pub const ALL: [Doc; 25] = [
        Doc::Introduction,
        Doc::IntegrationFlow,
        Doc::PreauthFlow,
        Doc::PaymentFlow,
        Doc::RefundFlow,
        Doc::Notification,
        Doc::ErrorHandling,
        Doc::PreauthPost,
        Doc::PaymentPost,
        Doc::RefundPost,
        Doc::Prenotification,
        Doc::Requests,
        Doc::Responses,
        Doc::Enums,
        Doc::Settings,
        Doc::Controllers,
        Doc::Json,
        Doc::Handlers,
        Doc::States,
        Doc::Notifier,
        Doc::Examples,
        Doc::FakeProvider,
        Doc::Sample2020Notices,
        Doc::Sample2020Access,
        Doc::Convention,
    ];

    /// A short name for the lines of a report, its title, and its address (empty for a convention).
    const fn about(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Doc::Introduction => {
                ("introduction", "Introduction", "https://docs.frisbii-transform.com/docs/introduction")
            }
            Doc::IntegrationFlow => {
                ("integration-flow", "Integration flow", "https://docs.frisbii-transform.com/docs/integration-flow")
            }
            Doc::PreauthFlow => (
                "preauth-flow",
                "Preauthorization flow",
                "https://transform-docs.billwerk.com/docs/preauthorization-flow",
            ),
            Doc::PaymentFlow => {
                ("payment-flow", "Payment flow", "https://transform-docs.billwerk.com/docs/payment-flow")
            }
            Doc::RefundFlow => ("refund-flow", "Refund flow", "https://docs.frisbii-transform.com/docs/refund-flow"),
            Doc::Notification => {
                ("notification", "Change notification", "https://docs.frisbii-transform.com/docs/change-notification")
            }
            Doc::ErrorHandling => {
                ("errors", "Error handling", "https://transform-docs.billwerk.com/docs/error-handling")
            }
            Doc::PreauthPost => (
                "preauth-post",
                "API reference: POST /api/Preauth",
                "https://docs.frisbii-transform.com/docs/post_api-preauth",
            ),
            Doc::PaymentPost => (
                "payment-post",
                "API reference: POST /api/Payment",
                "https://docs.frisbii-transform.com/reference/post_api-payment",
            ),
            Doc::RefundPost => (
                "refund-post",
                "API reference: POST /api/Refund",
                "https://docs.frisbii-transform.com/reference/post_api-refund",
            ),
            Doc::Prenotification => (
                "prenotification",
                "How does the SEPA DD prenotification work?",
                "https://docu.billwerk.plus/help/transform_en/en/configuration-and-settings/payment/how-does-the-sepa-dd-prenotification-work-.html",
            ),
            Doc::Requests => (
                "ref-requests",
                "Reference integrator: requests",
                reference!("/PaymentGateway.Domain/BillwerkSDK/DTO/Requests"),
            ),
            Doc::Responses => (
                "ref-responses",
                "Reference integrator: responses",
                reference!("/PaymentGateway.Domain/BillwerkSDK/DTO/Responses"),
            ),
            Doc::Enums => (
                "ref-enums",
                "Reference integrator: enumerations",
                reference!("/PaymentGateway.Domain/BillwerkSDK/Enums"),
            ),
            Doc::Settings => (
                "ref-settings",
                "Reference integrator: settings",
                reference!("/PaymentGateway.Domain/BillwerkSDK/Settings"),
            ),
            Doc::Controllers => {
                ("ref-controllers", "Reference integrator: controllers", reference!("/PaymentGateway/Transactions"))
            }
            Doc::Json => (
                "ref-json",
                "Reference integrator: JSON",
                reference!("/PaymentGateway.Infrastructure/JsonSerialization"),
            ),
            Doc::Handlers => (
                "ref-handlers",
                "Reference integrator: command handlers",
                reference!("/PaymentGateway.Application/Modules/Transactions"),
            ),
            Doc::States => (
                "ref-states",
                "Reference integrator: states",
                reference!("/PaymentGateway.Domain/Modules/Transactions"),
            ),
            Doc::Notifier => (
                "ref-notifier",
                "Reference integrator: notifications",
                reference!("/PaymentGateway.Application/Notification"),
            ),
            Doc::Examples => ("ref-examples", "Reference integrator: examples", reference!("/PaymentGateway/Swagger")),
            Doc::FakeProvider => ("ref-fake", "Reference integrator: FakeProvider", reference!("/FakeProvider")),
            Doc::Sample2020Notices => (
                "sample-notices",
                "Sample integrator of 2020: notices",
                "https://github.com/billwerk/third-party-psp-integrations/pull/10",
            ),
            Doc::Sample2020Access => (
                "sample-access",
                "Sample integrator of 2020: access",
                "https://github.com/billwerk/third-party-psp-integrations/pull/12",
            ),
            Doc::Convention => ("convention", "Nothing published says it; what sensible integrators do", ""),
        }
    }

    pub const fn tag(self) -> &'static str {
        self.about().0
    }

    pub const fn title(self) -> &'static str {
        self.about().1
    }

    pub const fn url(self) -> &'static str {
        self.about().2
    }
}
