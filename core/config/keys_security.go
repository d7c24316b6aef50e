package config

// securityKeys are the keys about authentication and encryption.
var securityKeys = []Key{
	{
		Name: "allow.everyone.if.no.acl.found", Type: Boolean, Default: "false",
		Scope: BrokerScope, Inert: true,
		Doc: "Whether resources without any ACL are open to all.",
	},
	{
		Name: "authorizer.class.name", Type: String,
		Scope: BrokerScope, Inert: true,
		Doc: "The class that decides who may do what.",
	},
	{
		Name: "connection.failed.authentication.delay.ms", Type: Int, Default: "100",
		Valid: atLeast(0), Scope: BrokerScope, Inert: true,
		Doc: "How long a connection is kept after a failed authentication.",
	},
	{
		Name: "connections.max.reauth.ms", Type: Long, Default: "0",
		Scope: BrokerScope, Inert: true,
		Doc: "How long an authentication is valid before the client must repeat it; 0 is " +
			"for ever.",
	},
	{
		Name: "principal.builder.class", Type: Class,
		Default: "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
		Scope:   BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The class that names the principal of a connection.",
	},
	{
		Name: "sasl.client.callback.handler.class", Type: Class, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "The class that answers a SASL client's questions.",
	},
	{
		Name: "sasl.enabled.mechanisms", Type: List, Default: "GSSAPI",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The SASL mechanisms that the broker offers.",
	},
	{
		Name: "sasl.jaas.config", Type: Password, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The login context of a SASL listener.",
	},
	{
		Name: "sasl.kerberos.kinit.cmd", Type: String, Default: "/usr/bin/kinit",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The path of the Kerberos command kinit.",
	},
	{
		Name: "sasl.kerberos.min.time.before.relogin", Type: Long, Default: "60000",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "How long a Kerberos login thread sleeps between two tries.",
	},
	{
		Name: "sasl.kerberos.principal.to.local.rules", Type: List, Default: "DEFAULT",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "Rules that turn Kerberos principals into short names.",
	},
	{
		Name: "sasl.kerberos.service.name", Type: String, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The Kerberos name that the broker runs as.",
	},
	{
		Name: "sasl.kerberos.ticket.renew.jitter", Type: Double, Default: "0.05",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The random part of the time at which a Kerberos ticket is renewed.",
	},
	{
		Name: "sasl.kerberos.ticket.renew.window.factor", Type: Double, Default: "0.8",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The share of a Kerberos ticket's life after which it is renewed.",
	},
	{
		Name: "sasl.login.callback.handler.class", Type: Class, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The class that answers a SASL login's questions.",
	},
	{
		Name: "sasl.login.class", Type: Class, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The class that logs in for SASL.",
	},
	{
		Name: "sasl.login.connect.timeout.ms", Type: Int, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "How long to wait for a connection to the authentication provider.",
	},
	{
		Name: "sasl.login.read.timeout.ms", Type: Int, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "How long to wait for an answer of the authentication provider.",
	},
	{
		Name: "sasl.login.refresh.buffer.seconds", Type: Short, Default: "300",
		Valid: between(0, 3600), Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "How long before its end a credential is refreshed at the latest.",
	},
	{
		Name: "sasl.login.refresh.min.period.seconds", Type: Short, Default: "60",
		Valid: between(0, 900), Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "How long a refresh of a credential waits at least.",
	},
	{
		Name: "sasl.login.refresh.window.factor", Type: Double, Default: "0.8",
		Valid: between(0, 1), Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The share of a credential's life after which it is refreshed.",
	},
	{
		Name: "sasl.login.refresh.window.jitter", Type: Double, Default: "0.05",
		Valid: between(0, 1), Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The random part of the time at which a credential is refreshed.",
	},
	{
		Name: "sasl.login.retry.backoff.max.ms", Type: Long, Default: "10000",
		Scope: BrokerScope, Inert: true,
		Doc: "The longest wait between two login attempts.",
	},
	{
		Name: "sasl.login.retry.backoff.ms", Type: Long, Default: "100",
		Scope: BrokerScope, Inert: true,
		Doc: "The first wait between two login attempts.",
	},
	{
		Name: "sasl.mechanism.controller.protocol", Type: String, Default: "GSSAPI",
		Scope: BrokerScope, Inert: true,
		Doc: "The SASL mechanism between controllers.",
	},
	{
		Name: "sasl.mechanism.inter.broker.protocol", Type: String, Default: "GSSAPI",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The SASL mechanism between brokers.",
	},
	{
		Name: "sasl.oauthbearer.clock.skew.seconds", Type: Int, Default: "30",
		Scope: BrokerScope, Inert: true,
		Doc: "How far the clocks of broker and token issuer may differ.",
	},
	{
		Name: "sasl.oauthbearer.expected.audience", Type: List, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "The audience that a token must name.",
	},
	{
		Name: "sasl.oauthbearer.expected.issuer", Type: String, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "The issuer that a token must name.",
	},
	{
		Name: "sasl.oauthbearer.header.urlencode", Type: Boolean, Default: "false",
		Scope: BrokerScope, Inert: true,
		Doc: "Whether client id and secret are encoded for URLs in the login's header.",
	},
	{
		Name: "sasl.oauthbearer.jwks.endpoint.refresh.ms", Type: Long, Default: "3600000",
		Scope: BrokerScope, Inert: true,
		Doc: "How often the keys that check tokens are fetched again.",
	},
	{
		Name: "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Type: Long, Default: "10000",
		Scope: BrokerScope, Inert: true,
		Doc: "The longest wait between two attempts to fetch keys.",
	},
	{
		Name: "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Type: Long, Default: "100",
		Scope: BrokerScope, Inert: true,
		Doc: "The first wait between two attempts to fetch keys.",
	},
	{
		Name: "sasl.oauthbearer.jwks.endpoint.url", Type: String, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "Where the keys that check tokens are found.",
	},
	{
		Name: "sasl.oauthbearer.scope.claim.name", Type: String, Default: "scope",
		Scope: BrokerScope, Inert: true,
		Doc: "The claim that holds a token's scope.",
	},
	{
		Name: "sasl.oauthbearer.sub.claim.name", Type: String, Default: "sub",
		Scope: BrokerScope, Inert: true,
		Doc: "The claim that holds a token's subject.",
	},
	{
		Name: "sasl.oauthbearer.token.endpoint.url", Type: String, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "Where tokens are had from.",
	},
	{
		Name: "sasl.server.callback.handler.class", Type: Class, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "The class that answers a SASL server's questions.",
	},
	{
		Name: "sasl.server.max.receive.size", Type: Int, Default: "524288",
		Scope: BrokerScope, Inert: true,
		Doc: "The largest message accepted during SASL authentication.",
	},
	{
		Name: "security.inter.broker.protocol", Type: String, Default: "PLAINTEXT",
		Valid: oneOf("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
		Scope: BrokerScope,
		Doc:   "The security protocol between brokers.",
	},
	{
		Name: "security.providers", Type: String, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "Classes that provide security algorithms.",
	},
	{
		Name: "ssl.allow.dn.changes", Type: Boolean, Default: "false",
		Scope: BrokerScope, Inert: true,
		Doc: "Whether a renewed certificate may have another distinguished name.",
	},
	{
		Name: "ssl.allow.san.changes", Type: Boolean, Default: "false",
		Scope: BrokerScope, Inert: true,
		Doc: "Whether a renewed certificate may have other alternative names.",
	},
	{
		Name: "ssl.cipher.suites", Type: List,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The cipher suites allowed; empty allows what the platform does.",
	},
	{
		Name: "ssl.client.auth", Type: String, Default: "none",
		Valid: oneOf("required", "requested", "none"),
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "Whether clients must show a certificate.",
	},
	{
		Name: "ssl.enabled.protocols", Type: List, Default: "TLSv1.2,TLSv1.3",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The versions of TLS allowed.",
	},
	{
		Name: "ssl.endpoint.identification.algorithm", Type: String, Default: "https",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "How the name in a certificate is checked.",
	},
	{
		Name: "ssl.engine.factory.class", Type: Class, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The class that makes TLS engines.",
	},
	{
		Name: "ssl.key.password", Type: Password, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The password of the private key.",
	},
	{
		Name: "ssl.keymanager.algorithm", Type: String, Default: "SunX509",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The algorithm of the key manager.",
	},
	{
		Name: "ssl.keystore.certificate.chain", Type: Password, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The certificate chain in PEM form.",
	},
	{
		Name: "ssl.keystore.key", Type: Password, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The private key in PEM form.",
	},
	{
		Name: "ssl.keystore.location", Type: String, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The path of the key store.",
	},
	{
		Name: "ssl.keystore.password", Type: Password, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The password of the key store.",
	},
	{
		Name: "ssl.keystore.type", Type: String, Default: "JKS",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The format of the key store.",
	},
	{
		Name: "ssl.principal.mapping.rules", Type: String, Default: "DEFAULT",
		Scope: BrokerScope, Inert: true,
		Doc: "Rules that turn distinguished names into short names.",
	},
	{
		Name: "ssl.protocol", Type: String, Default: "TLSv1.3",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The version of TLS that contexts are made with.",
	},
	{
		Name: "ssl.provider", Type: String, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The security provider of TLS.",
	},
	{
		Name: "ssl.secure.random.implementation", Type: String, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The random generator of TLS.",
	},
	{
		Name: "ssl.trustmanager.algorithm", Type: String, Default: "PKIX",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The algorithm of the trust manager.",
	},
	{
		Name: "ssl.truststore.certificates", Type: Password, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The trusted certificates in PEM form.",
	},
	{
		Name: "ssl.truststore.location", Type: String, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The path of the trust store.",
	},
	{
		Name: "ssl.truststore.password", Type: Password, Null: true,
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The password of the trust store.",
	},
	{
		Name: "ssl.truststore.type", Type: String, Default: "JKS",
		Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The format of the trust store.",
	},
	{
		Name: "super.users", Type: String,
		Scope: BrokerScope, Inert: true,
		Doc: "Principals who may do everything, separated by semicolons.",
	},
}
