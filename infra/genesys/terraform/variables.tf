variable "region" {
  description = "AWS region of the Genesys Cloud org, such as eu-central-1 for mypurecloud.de."
  type        = string
}

variable "bridge_url" {
  description = "Where the bridge is: the stack's output BridgeUrl."
  type        = string

  validation {
    condition     = can(regex("^https://[^/]+$", var.bridge_url))
    error_message = "bridge_url is https:// and a host, without a path and without a slash at the end."
  }
}

# The caller's credential, as Register-TeamsBridge.ps1 writes it into caller.auto.tfvars.json.

variable "login_url" {
  description = "Where Entra ID issues tokens."
  type        = string
  default     = "https://login.microsoftonline.com"
}

variable "tenant_id" {
  description = "The Entra tenant's id."
  type        = string
}

variable "client_id" {
  description = "Client id of the application that calls the bridge."
  type        = string
}

variable "client_secret" {
  description = "Its client secret. It ends up in Terraform's state: keep the state where secrets may be."
  type        = string
  sensitive   = true
}

variable "scope" {
  description = "The bridge's audience: api://API-CLIENT-ID/.default."
  type        = string

  validation {
    condition     = endswith(var.scope, "/.default")
    error_message = "scope is the API's application ID URI and /.default."
  }
}

# What else is made.

variable "script" {
  description = "Whether the agents' script is uploaded."
  type        = bool
  default     = true
}

variable "trial_queue" {
  description = "Name of a new queue that has the script as its default, to try it with. Empty makes none."
  type        = string
  default     = ""
}

# Genesys Cloud lets a client hand out only roles that it holds. So the first run makes the role; then Terraform's own
# client is given it, and a second run makes the bridge's client.
variable "oauth_client" {
  description = "Whether the bridge's OAuth client is made. Needs the role Teams Bridge on Terraform's own client."
  type        = bool
  default     = false
}

variable "oauth_client_secret_directory" {
  description = "Directory that the OAuth client's secret is written to, in a file that has the client's id as its name."
  type        = string
  default     = ""
}

variable "aws_account_id" {
  description = "AWS account of the bridge, to mirror presences through Amazon EventBridge. Empty makes no integration."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([0-9]{12})?$", var.aws_account_id))
    error_message = "aws_account_id has 12 digits."
  }
}

variable "aws_region" {
  description = "AWS region of the bridge."
  type        = string
  default     = ""
}

variable "event_source_suffix" {
  description = "How the partner event source's name ends."
  type        = string
  default     = "teams-bridge"

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,64}$", var.event_source_suffix))
    error_message = "event_source_suffix has at most 64 letters, digits, dots, hyphens and underscores."
  }
}

variable "presence_workflow" {
  description = "Whether presences go through a workflow and its trigger: the way without Amazon EventBridge."
  type        = bool
  default     = false
}

variable "presence_users" {
  description = "Genesys Cloud user ids of a pilot, for the workflow. Empty is everybody."
  type        = list(string)
  default     = []
}

variable "open_messaging_webhook_url" {
  description = "Where Genesys Cloud sends what agents answer in chats from Teams, which it wants to be told. The bridge does not serve it yet, so answers reach nobody in Teams. Empty makes no integration."
  type        = string
  default     = ""
}

variable "open_messaging_secret" {
  description = "What Genesys Cloud signs those messages with, of at least 16 characters."
  type        = string
  default     = ""
  sensitive   = true
}
