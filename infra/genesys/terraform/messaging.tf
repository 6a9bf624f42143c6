# Chats from Teams as Genesys Cloud messages. One way: what an agent answers goes to a webhook, which the bridge does not
# serve yet, and reaches nobody in Teams.

resource "genesyscloud_conversations_messaging_supportedcontent" "teams" {
  count = var.open_messaging_webhook_url == "" ? 0 : 1

  name = local.name
  # With no `allow`, all media would be dropped.
  media_types {
    allow {
      inbound {
        type = "*/*"
      }
      outbound {
        type = "*/*"
      }
    }
  }
}

resource "genesyscloud_conversations_messaging_integrations_open" "teams" {
  count = var.open_messaging_webhook_url == "" ? 0 : 1

  name                                                 = local.name
  outbound_notification_webhook_url                    = var.open_messaging_webhook_url
  outbound_notification_webhook_signature_secret_token = var.open_messaging_secret
  supported_content_id                                 = genesyscloud_conversations_messaging_supportedcontent.teams[0].id

  lifecycle {
    precondition {
      condition     = length(var.open_messaging_secret) > 15
      error_message = "open_messaging_secret has at least 16 characters."
    }
  }
}
