#Requires -Version 7.4
<#
.SYNOPSIS
Registers what the Teams Bridge needs in Microsoft Entra ID and Microsoft Teams.

.DESCRIPTION
Three registrations, each found again by its tag, so that a second run changes only what differs, and keeps what somebody
added by hand:

  Teams Bridge API            whose tokens open the bridge's HTTP API. Holds the app roles, and no credential.
  Teams Bridge                what the bridge is on Microsoft Graph: the application permissions of the named features,
                              with admin consent, and a certificate (or a secret).
  Teams Bridge Genesys Cloud  the caller: a secret that lies in Genesys Cloud, and the API's app roles. It is an
                              application of its own, so that whoever reads the secret there gets the bridge's
                              routes and nothing else.

For meetings, a Teams application access policy that lets the bridge act for the organizers: Set-AccessPolicy.ps1, in a
process of its own.

Nothing secret is printed: credentials are written to files in the output directory, and beside them samconfig.toml, with
which SAM deploys the bridge. The table at the end says what goes where. With -WhatIf it reads, says what it would do, and
changes nothing. With -Remove it undoes all of it.

Needs PowerShell 7.4 and the modules Microsoft.Graph.Authentication and MicrosoftTeams. Whoever runs it needs Privileged
Role Administrator (to consent to Graph permissions) with Application Administrator, or Global Administrator; and Teams
Administrator for the policy.

.PARAMETER TenantId
The tenant, by its id or a domain of it.

.PARAMETER Features
What the bridge is to do. Name all of them in each run; what is granted and no named feature needs is reported, and with
-Prune taken away.

.PARAMETER OrganizerGroupId
Grants the application access policy to the members of this group, by its object id.

.PARAMETER AllOrganizers
Grants it to everybody. It takes the place of what is granted to everybody now, so where that is another product's policy,
or cannot be read, the script asks first.

.PARAMETER Force
Asks nothing: neither before a policy of everybody's is replaced, nor before -Remove.

.PARAMETER PolicyName
The application access policy. A user has one policy at a time, so where organizers have one already, name that: the
bridge is added to its applications.

.PARAMETER BridgeCredential
Certificate (default) or Secret.

.PARAMETER NewCredentials
Makes new credentials although there are valid ones: for rotation, or when a file was lost. The old ones stay valid
until they expire or are deleted.

.PARAMETER ValidMonths
How long new credentials are valid.

.PARAMETER Prune
Takes permissions and app roles away that no named feature needs, those that somebody added by hand as well.

.PARAMETER Remove
Undoes all of it: takes the bridge out of the application access policy, deletes the three registrations, and deletes the
files that a run has written. Nothing else is needed but -TenantId, and -PolicyName where another policy was named. Entra ID
keeps a deleted registration for 30 days.

.PARAMETER SkipTeams
Leaves out the application access policy, and prints its commands for a Teams administrator.

.PARAMETER Name
What the registrations' names begin with. Only for their first run; later they are found by their tags.

.PARAMETER OutputDirectory
Where the credentials' files go.

.PARAMETER Environment
The cloud, as Connect-MgGraph names it.

.EXAMPLE
./Register-TeamsBridge.ps1 -TenantId contoso.com -OrganizerGroupId GROUP-ID -WhatIf

.EXAMPLE
./Register-TeamsBridge.ps1 -TenantId contoso.com -Features Meetings, Sms -OrganizerGroupId GROUP-ID

.EXAMPLE
./Register-TeamsBridge.ps1 -TenantId contoso.com -Remove
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)]
    [string] $TenantId,

    [ValidateSet('Meetings', 'Calendar', 'Sms', 'Presence', 'Chats', 'Channels', 'Mail')]
    [string[]] $Features = @('Meetings', 'Calendar', 'Sms', 'Presence'),

    [string] $OrganizerGroupId,
    [switch] $AllOrganizers,
    [switch] $Force,
    [string] $PolicyName = 'Teams-Bridge',

    [ValidateSet('Certificate', 'Secret')]
    [string] $BridgeCredential = 'Certificate',
    [switch] $NewCredentials,
    [ValidateRange(1, 24)]
    [int] $ValidMonths = 12,

    [switch] $Prune,
    [switch] $Remove,
    [switch] $SkipTeams,
    [string] $Name = 'Teams Bridge',
    [string] $OutputDirectory = (Join-Path $HOME 'teams-bridge'),

    [ValidateSet('Global', 'USGov', 'USGovDoD')]
    [string] $Environment = 'Global'
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

# What each feature needs on Microsoft Graph. docs/reference/permissions.md says why.
$graphPermissions = [ordered]@{
    Meetings = @('OnlineMeetings.ReadWrite.All', 'User.ReadBasic.All')
    Calendar = @('Calendars.ReadWrite')
    Sms      = @()
    Presence = @('Presence.ReadWrite.All')
    Chats    = @('Chat.Read.All')
    Channels = @('ChannelMessage.Read.All')
    Mail     = @('Mail.Read')
}

# Which of the API's app roles Genesys Cloud needs for it.
$callerRoles = [ordered]@{
    Meetings = @('Meetings.Create')
    Calendar = @('Meetings.Create')
    Sms      = @('Sms.Send')
    Presence = @('Presence.Write')
    Chats    = @()
    Channels = @()
    Mail     = @()
}

# The API's app roles, as its routes ask for them. The ids are ours, and the same in every tenant.
$appRoles = [ordered]@{
    'Meetings.Create' = @{
        id          = '12344d7b-3c95-4471-a620-98c8679a6adf'
        displayName = 'Create meetings'
        description = 'Create Teams meetings for agents.'
    }
    'Sms.Send'        = @{
        id          = 'b5fc3ce5-7e60-4704-8de6-2d0c97230179'
        displayName = 'Send text messages'
        description = 'Send text messages through Genesys Cloud.'
    }
    'Presence.Write'  = @{
        id          = 'c0761462-5f72-4b78-9ca4-7154a5e8c99a'
        displayName = 'Set presence'
        description = 'Set the presence of users in Teams.'
    }
}

# What a new samconfig.toml says. The parameters without a value are filled in; those in comments are for a person.
$deployment = @'
# What `sam deploy --config-file THIS-FILE` is told, for the first deployment and every one after it. Change a parameter
# here and deploy again. A value with spaces stands in quotes of its own, as that of SmsBrand below; a quote within it has
# a backslash before it: 'PresenceMap="{\"Meal\":\"BeRightBack\"}"'.
version = 0.1

[default.deploy.parameters]
stack_name = "teams-bridge"
capabilities = "CAPABILITY_IAM"
resolve_s3 = true
confirm_changeset = true
parameter_overrides = [
    "JwtIssuer=",
    "JwtAudience=",
    "EntraLoginUrl=",
    "GraphUrl=",
    # Needed: the domain of your Genesys Cloud region.
    # "GenesysDomain=mypurecloud.de",
    # For text messages: the number that sends them, the country whose national numbers are understood, and the name by
    # which your customers know you.
    # "SmsFrom=+13175550100",
    # "SmsCountry=US",
    # 'SmsBrand="Contoso Ltd"',
    # For presence by Amazon EventBridge: the event source, and a pilot's Genesys Cloud user ids.
    # "GenesysEventSource=aws.partner/genesys.com/cloud/ORG-ID/NAME",
    # "PresenceUsers=7a3b0c5e-1d2f-4e6a-8b9c-0a1b2c3d4e5f",
    # For chats from Teams: the parameter of Systems Manager that holds the list of subscriptions, and the integration.
    # "SubscriptionsParameter=/bridge/subscriptions",
    # "OpenMessagingIntegrationId=INTEGRATION-ID",
]
'@

$graphAppId = '00000003-0000-0000-c000-000000000000'
$credentialName = 'Register-TeamsBridge'

function Assert-Module([string] $Module) {
    if (-not (Get-Module -ListAvailable -Name $Module)) {
        throw "The PowerShell module $Module is missing. Install it with: Install-Module $Module -Scope CurrentUser"
    }
}

# One request to Microsoft Graph. A new object is unknown to some of Entra's replicas for a while, so what refers to it
# is tried again for a minute.
function Invoke-Graph([string] $Method, [string] $Path, [System.Collections.IDictionary] $Body) {
    # Reading is not what -WhatIf keeps from happening, and nothing is written where ShouldProcess said no.
    $WhatIfPreference = $false
    $request = @{ Method = $Method; Uri = "/v1.0$Path"; OutputType = 'Hashtable' }
    if ($Body) {
        $request.Body = ConvertTo-Json -InputObject $Body -Depth 10
        $request.ContentType = 'application/json'
    }
    for ($try = 1; ; $try++) {
        try {
            return Invoke-MgGraphRequest @request
        }
        catch {
            $reason = "$($_.ErrorDetails) $($_.Exception.Message)"
            if ($reason -match 'Authorization_RequestDenied') {
                throw ("Entra ID refused $Method $Path for lack of a role. Registering applications takes " +
                    'Application Administrator; consenting to Microsoft Graph permissions takes Privileged Role ' +
                    'Administrator or Global Administrator. Activate the role (in PIM, where it is eligible), and ' +
                    "run this again: what is done already is found. $reason")
            }
            if ($Method -eq 'GET' -or $try -ge 12 -or
                $reason -notmatch 'Request_ResourceNotFound|does not exist|not a valid reference') {
                throw "Microsoft Graph refused $Method ${Path}: $reason"
            }
            Start-Sleep -Seconds 5
        }
    }
}

# All of a collection, or what a filter leaves of it.
function Get-GraphCollection([string] $Path, [string] $Filter) {
    $next = if ($Filter) { "$Path`?`$filter=$([uri]::EscapeDataString($Filter))" } else { $Path }
    while ($next) {
        $page = Invoke-Graph GET $next
        $page['value']
        $next = "$($page['@odata.nextLink'])" -replace '^https://[^/]+/v1\.0', ''
    }
}

# The registration that a former run made, by its tag.
function Find-Tagged([string] $Tag) {
    $found = @(Get-GraphCollection '/applications' "tags/any(t:t eq '$Tag')")
    if ($found.Count -gt 1) {
        throw "$($found.Count) applications have the tag $Tag. Delete all but the one in use, or remove their tag."
    }
    $found
}

# The same, for a registration that is to be made where there is none. A namesake is somebody else's and is never touched.
function Find-Registration([string] $Tag, [string] $DisplayName) {
    $found = Find-Tagged $Tag
    if ($found) {
        return $found
    }
    if (@(Get-GraphCollection '/applications' "displayName eq '$($DisplayName.Replace("'", "''"))'").Count -gt 0) {
        throw ("An application named '$DisplayName' exists that this script has not made. Choose other names with " +
            "-Name, or give it the tag $Tag in its manifest if it is to be used.")
    }
}

# Whether an object is as wanted, as far as wanted says. The order in a list does not matter.
function Test-Same([object] $Present, [object] $Wanted) {
    if ($Wanted -is [System.Collections.IDictionary]) {
        return $Present -is [System.Collections.IDictionary] -and
            @($Wanted.Keys | Where-Object { -not (Test-Same $Present[$_] $Wanted[$_]) }).Count -eq 0
    }
    if ($Wanted -is [System.Collections.IList]) {
        $items = @($Present | Where-Object { $null -ne $_ })
        return $items.Count -eq $Wanted.Count -and @($Wanted | Where-Object {
                $one = $_
                @($items | Where-Object { Test-Same $_ $one }).Count -eq 0
            }).Count -eq 0
    }
    return "$Present" -eq "$Wanted"
}

# Registers an application, or changes a registered one to what is wanted; and its service principal.
function Set-Registration([string] $Tag, [string] $DisplayName, [System.Collections.IDictionary] $Wanted) {
    $app = Find-Registration $Tag $DisplayName
    if ($app) {
        $differing = @{}
        foreach ($property in @($Wanted.Keys | Where-Object { -not (Test-Same $app[$_] $Wanted[$_]) })) {
            $differing[$property] = $Wanted[$property]
        }
        if ($differing.Count -gt 0 -and
            $PSCmdlet.ShouldProcess($app['displayName'], "Change $($differing.Keys -join ' and ')")) {
            $null = Invoke-Graph PATCH "/applications/$($app['id'])" $differing
        }
    }
    elseif ($PSCmdlet.ShouldProcess($DisplayName, 'Register the application')) {
        $body = @{ displayName = $DisplayName; signInAudience = 'AzureADMyOrg'; tags = @($Tag) }
        foreach ($property in $Wanted.Keys) {
            $body[$property] = $Wanted[$property]
        }
        $app = Invoke-Graph POST '/applications' $body
    }
    else {
        return @{ DisplayName = $DisplayName; App = $null; Principal = $null }
    }
    $principal = @(Get-GraphCollection '/servicePrincipals' "appId eq '$($app['appId'])'") | Select-Object -First 1
    if (-not $principal -and $PSCmdlet.ShouldProcess($app['displayName'], 'Create the service principal')) {
        $principal = Invoke-Graph POST '/servicePrincipals' @{ appId = $app['appId'] }
    }
    return @{ DisplayName = $app['displayName']; App = $app; Principal = $principal }
}

# The API's app roles: those it has, and ours that are missing. (A role in use cannot be left out of the list.)
function Get-WantedAppRole([System.Collections.IDictionary] $App) {
    $present = @(if ($App) { $App['appRoles'] })
    foreach ($role in $present) {
        # Without `origin`, which Graph tells and does not take.
        $kept = @{}
        foreach ($property in 'id', 'value', 'displayName', 'description', 'allowedMemberTypes', 'isEnabled') {
            $kept[$property] = $role[$property]
        }
        $kept
    }
    foreach ($value in $appRoles.Keys) {
        if ($value -notin @($present | ForEach-Object { $_['value'] })) {
            @{
                id                 = $appRoles[$value].id
                value              = $value
                displayName        = $appRoles[$value].displayName
                description        = $appRoles[$value].description
                allowedMemberTypes = @('Application')
                isEnabled          = $true
            }
        }
    }
}

# What a registration lists under "API permissions": what it lists now, and the permissions of ours that are missing. What
# somebody added by hand stays listed, as its consent stays granted; -Prune takes away both.
function Get-WantedAccess([System.Collections.IDictionary] $App, [string] $ResourceAppId, [string[]] $RoleIds) {
    $present = @(if ($App) { $App['requiredResourceAccess'] }) | Where-Object { $_ }
    $listed = @()
    foreach ($resource in $present) {
        $access = @($resource['resourceAccess'] | ForEach-Object { @{ id = $_['id']; type = $_['type'] } })
        if ($resource['resourceAppId'] -eq $ResourceAppId) {
            $listed += @($access | Where-Object { -not $Prune -or $_.type -ne 'Role' -or $_.id -in $RoleIds })
        }
        else {
            @{ resourceAppId = $resource['resourceAppId']; resourceAccess = $access }
        }
    }
    $roles = @($listed | Where-Object { $_.type -eq 'Role' } | ForEach-Object { $_.id })
    $listed += @($RoleIds | Where-Object { $_ -notin $roles } | ForEach-Object { @{ id = $_; type = 'Role' } })
    if ($listed.Count -gt 0) {
        @{ resourceAppId = $ResourceAppId; resourceAccess = $listed }
    }
}

# By their values, the ids of the roles that an application may be given.
function Get-RoleId([object[]] $Roles) {
    $ids = @{}
    foreach ($role in $Roles) {
        if ($role['allowedMemberTypes'] -contains 'Application' -and $role['isEnabled']) {
            $ids[$role['value']] = $role['id']
        }
    }
    return $ids
}

# Gives an application the roles of a resource: what the portal calls granting admin consent.
function Grant-Role([hashtable] $To, [hashtable] $Resource, [hashtable] $RoleIds, [string[]] $Wanted) {
    $granted = @()
    if ($To.Principal -and $Resource.Principal) {
        $granted = @(Get-GraphCollection "/servicePrincipals/$($To.Principal['id'])/appRoleAssignments" |
                Where-Object { $_['resourceId'] -eq $Resource.Principal['id'] })
    }
    foreach ($value in $Wanted) {
        if (-not $RoleIds.ContainsKey($value)) {
            throw "$($Resource.DisplayName) has no application permission $value in this cloud."
        }
        if ($RoleIds[$value] -in @($granted | ForEach-Object { $_['appRoleId'] })) {
            continue
        }
        if ($PSCmdlet.ShouldProcess($To.DisplayName, "Grant $value on $($Resource.DisplayName), with admin consent")) {
            $null = Invoke-Graph POST "/servicePrincipals/$($To.Principal['id'])/appRoleAssignments" @{
                principalId = $To.Principal['id']
                resourceId  = $Resource.Principal['id']
                appRoleId   = $RoleIds[$value]
            }
        }
    }
    foreach ($assignment in $granted) {
        $value = @($RoleIds.Keys | Where-Object { $RoleIds[$_] -eq $assignment['appRoleId'] }) -join ''
        if ($value -in $Wanted) {
            continue
        }
        if (-not $Prune) {
            Write-Warning ("$($To.DisplayName) also has $value on $($Resource.DisplayName), which no named feature " +
                'needs. -Prune takes it away.')
        }
        elseif ($PSCmdlet.ShouldProcess($To.DisplayName, "Take $value on $($Resource.DisplayName) away")) {
            $assignments = "/servicePrincipals/$($To.Principal['id'])/appRoleAssignments"
            $null = Invoke-Graph DELETE "$assignments/$($assignment['id'])"
        }
    }
}

# Whether one of our credentials lasts for another month.
function Test-Credential([object[]] $Credentials) {
    $soon = [datetime]::UtcNow.AddDays(30)
    $ours = @($Credentials | Where-Object { $_ -and $_['displayName'] -eq $credentialName })
    return @($ours | Where-Object { ([datetime] $_['endDateTime']).ToUniversalTime() -gt $soon }).Count -gt 0
}

# Writes a JSON object that holds a secret, for the owner's eyes alone.
function Write-SecretFile([string] $File, [System.Collections.IDictionary] $Content) {
    $path = Join-Path $OutputDirectory $File
    $null = New-Item -ItemType File -Path $path -Force
    if (-not $IsWindows) {
        [System.IO.File]::SetUnixFileMode($path, [System.IO.UnixFileMode] 'UserRead, UserWrite')
    }
    Set-Content -Path $path -Value (ConvertTo-Json -InputObject $Content) -Encoding utf8NoBOM
}

# A new client secret. Entra ID shows its value this once.
function New-ClientSecret([hashtable] $Registration) {
    $answer = Invoke-Graph POST "/applications/$($Registration.App['id'])/addPassword" @{
        passwordCredential = @{
            displayName = $credentialName
            endDateTime = [datetime]::UtcNow.AddMonths($ValidMonths).ToString('o')
        }
    }
    return $answer['secretText']
}

# A new certificate, signed by itself, whose private key never leaves this machine but in the file.
function New-ClientCertificate([hashtable] $Registration) {
    $key = [System.Security.Cryptography.RSA]::Create(3072)
    $signing = [System.Security.Cryptography.X509Certificates.CertificateRequest]::new(
        "CN=$($Registration.DisplayName)", $key, [System.Security.Cryptography.HashAlgorithmName]::SHA256,
        [System.Security.Cryptography.RSASignaturePadding]::Pkcs1)
    $now = [System.DateTimeOffset]::UtcNow
    $certificate = $signing.CreateSelfSigned($now.AddMinutes(-5), $now.AddMonths($ValidMonths))
    # The list is replaced as a whole, so those that are there go back into it, with their keys, which are only told
    # when they are asked for.
    $id = $Registration.App['id']
    $present = (Invoke-Graph GET "/applications/$id`?`$select=keyCredentials")['keyCredentials']
    $new = @{
        displayName = $credentialName
        type        = 'AsymmetricX509Cert'
        usage       = 'Verify'
        key         = [System.Convert]::ToBase64String($certificate.RawData)
    }
    $null = Invoke-Graph PATCH "/applications/$id" @{ keyCredentials = @(@($present) + $new | Where-Object { $_ }) }
    return @{ certificate_pem = $certificate.ExportCertificatePem(); private_key_pem = $key.ExportPkcs8PrivateKeyPem() }
}

# Deletes a registration that a run has made, and its service principal with it.
function Remove-Made([string] $Tag) {
    $app = Find-Tagged $Tag
    if ($app -and $PSCmdlet.ShouldProcess($app['displayName'], 'Delete the registration')) {
        $null = Invoke-Graph DELETE "/applications/$($app['id'])"
    }
}

# What Set-AccessPolicy.ps1 is to be told.
function Get-PolicyArgument([string] $AppId) {
    '-TenantId', $tenant, '-AppId', $AppId, '-PolicyName', $PolicyName
    if ($Environment -ne 'Global') {
        '-TeamsEnvironmentName', @{ USGov = 'TeamsGCCH'; USGovDoD = 'TeamsDOD' }[$Environment]
    }
    if ($Remove) {
        '-Remove'
    }
    elseif ($OrganizerGroupId) {
        '-OrganizerGroupId', $OrganizerGroupId
    }
    else {
        '-AllOrganizers'
    }
    if ($Force) {
        '-Force'
    }
    if ($WhatIfPreference) {
        '-WhatIf'
    }
}

# The application access policy, without which Graph makes no meeting for anybody. In a process of its own: the modules for
# Graph and for Teams do not load side by side.
function Set-AccessPolicy([string] $AppId) {
    $script = Join-Path $PSScriptRoot 'Set-AccessPolicy.ps1'
    $arguments = @(Get-PolicyArgument $AppId)
    if ($SkipTeams) {
        Write-Warning "The application access policy was left out. A Teams administrator runs:`n$script $arguments"
        return
    }
    $shell = Join-Path $PSHOME $(if ($IsWindows) { 'pwsh.exe' } else { 'pwsh' })
    & $shell -NoProfile -File $script @arguments
    if ($LASTEXITCODE -ne 0) {
        throw ("All but the application access policy is done; the reason stands above. It takes the role Teams " +
            "Administrator. Whoever has it runs:`n$script $arguments")
    }
}

# What SAM is told, for a deployment and for each one after it. Lines that somebody has added or changed stay.
function Write-Deployment([System.Collections.IDictionary] $Values) {
    $path = Join-Path $OutputDirectory 'samconfig.toml'
    $present = if (Test-Path $path) { Get-Content -Path $path -Raw } else { '' }
    $text = if ($present) { $present } else { $deployment }
    foreach ($parameter in $Values.Keys) {
        $text = $text -replace "(?m)^(\s*)""$parameter=[^""]*""", "`$1""$parameter=$($Values[$parameter])"""
    }
    if ($text -cne $present -and $PSCmdlet.ShouldProcess($path, 'Write what sam deploy is told')) {
        $null = New-Item -ItemType Directory -Path $OutputDirectory -Force
        Set-Content -Path $path -Value $text -Encoding utf8NoBOM -NoNewline
    }
}

# --- What is asked for, and by whom ---------------------------------------------------------------

$wantedPermissions = @($Features | ForEach-Object { $graphPermissions[$_] } | Select-Object -Unique)
$wantedRoles = @($Features | ForEach-Object { $callerRoles[$_] } | Select-Object -Unique)
$withPolicy = 'Meetings' -in $Features
if ($withPolicy -and -not $Remove -and -not ($AllOrganizers -xor [bool] $OrganizerGroupId)) {
    throw 'Say who may organize meetings: -OrganizerGroupId for a group''s members, or -AllOrganizers for everybody.'
}

Assert-Module Microsoft.Graph.Authentication
if ($withPolicy -and -not $SkipTeams) {
    Assert-Module MicrosoftTeams
}

$scopes = @('Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All')
if ($WhatIfPreference) {
    $scopes = @('Application.Read.All')
}
Connect-MgGraph -TenantId $TenantId -Environment $Environment -Scopes $scopes -NoWelcome
$context = Get-MgContext
$missing = @($scopes | Where-Object { $_ -notin $context.Scopes })
if ($missing.Count -gt 0) {
    throw ("Microsoft Graph PowerShell has no consent to $($missing -join ', '). Sign in as somebody who may consent " +
        'to it (Privileged Role Administrator or Global Administrator), or have such a person consent for the ' +
        'organization.')
}
$tenant = $context.TenantId
$login = (Get-MgEnvironment -Name $Environment).AzureADEndpoint.TrimEnd('/')

# --- Undone ---------------------------------------------------------------------------------------

if ($Remove) {
    if (-not $Force -and -not $WhatIfPreference -and
        -not $PSCmdlet.ShouldContinue("Delete the Teams Bridge's registrations, credentials and policy in ${tenant}?", 'Remove')) {
        return
    }
    # The policy first: what is in it is known by the registration.
    $bridge = Find-Tagged 'teams-bridge'
    if ($bridge -and $withPolicy) {
        Set-AccessPolicy $bridge['appId']
    }
    elseif ($withPolicy) {
        Write-Warning 'There is no registration Teams Bridge any more, so that the application access policy was left alone.'
    }
    Remove-Made 'teams-bridge-caller'
    Remove-Made 'teams-bridge'
    Remove-Made 'teams-bridge-api'
    foreach ($file in 'entra.json', 'caller.auto.tfvars.json', 'samconfig.toml') {
        $path = Join-Path $OutputDirectory $file
        if ((Test-Path $path) -and $PSCmdlet.ShouldProcess($path, 'Delete the file')) {
            Remove-Item -Path $path
        }
    }
    return
}

# --- The registrations ----------------------------------------------------------------------------

$graphPrincipal = @(Get-GraphCollection '/servicePrincipals' "appId eq '$graphAppId'")[0]
$graph = @{ DisplayName = 'Microsoft Graph'; Principal = $graphPrincipal }
$graphRoleIds = Get-RoleId $graphPrincipal['appRoles']

$apiRoles = @(Get-WantedAppRole (Find-Registration 'teams-bridge-api' "$Name API"))
$api = Set-Registration 'teams-bridge-api' "$Name API" @{
    api      = @{ requestedAccessTokenVersion = 2 }
    appRoles = $apiRoles
}
if ($api.App -and $api.App['identifierUris'] -notcontains "api://$($api.App['appId'])" -and
    $PSCmdlet.ShouldProcess($api.DisplayName, 'Set the application ID URI')) {
    $uris = @($api.App['identifierUris']) + "api://$($api.App['appId'])"
    $null = Invoke-Graph PATCH "/applications/$($api.App['id'])" @{ identifierUris = $uris }
}
$apiRoleIds = Get-RoleId $apiRoles

$permissionIds = @($wantedPermissions | ForEach-Object { $graphRoleIds[$_] })
$bridge = Set-Registration 'teams-bridge' $Name @{
    requiredResourceAccess = @(Get-WantedAccess (Find-Tagged 'teams-bridge') $graphAppId $permissionIds)
}
Grant-Role -To $bridge -Resource $graph -RoleIds $graphRoleIds -Wanted $wantedPermissions

$roleIds = @($wantedRoles | ForEach-Object { $apiRoleIds[$_] })
$callerAccess = @(if ($api.App) { Get-WantedAccess (Find-Tagged 'teams-bridge-caller') $api.App['appId'] $roleIds })
$caller = Set-Registration 'teams-bridge-caller' "$Name Genesys Cloud" @{ requiredResourceAccess = $callerAccess }
Grant-Role -To $caller -Resource $api -RoleIds $apiRoleIds -Wanted $wantedRoles

# --- Their credentials ----------------------------------------------------------------------------

$scope = if ($api.App) { "api://$($api.App['appId'])/.default" }
$bridgeHas = $bridge.App -and
    (Test-Credential (@($bridge.App['keyCredentials']) + @($bridge.App['passwordCredentials'])))
$callerHas = $caller.App -and (Test-Credential @($caller.App['passwordCredentials']))

if ($NewCredentials -or -not ($bridgeHas -and $callerHas)) {
    if ($PSCmdlet.ShouldProcess($OutputDirectory, 'Make the directory for the credentials')) {
        $null = New-Item -ItemType Directory -Path $OutputDirectory -Force
    }
}
$step = "Make a new $($BridgeCredential.ToLowerInvariant()), into entra.json"
if (($NewCredentials -or -not $bridgeHas) -and
    $PSCmdlet.ShouldProcess($bridge.DisplayName, $step) -and $bridge.App) {
    $content = [ordered]@{ tenant_id = $tenant; client_id = $bridge.App['appId'] }
    if ($BridgeCredential -eq 'Certificate') {
        $made = New-ClientCertificate $bridge
        $content.certificate_pem = $made.certificate_pem
        $content.private_key_pem = $made.private_key_pem
    }
    else {
        $content.client_secret = New-ClientSecret $bridge
    }
    Write-SecretFile 'entra.json' $content
}
$step = 'Make a new secret, into caller.auto.tfvars.json'
if (($NewCredentials -or -not $callerHas) -and
    $PSCmdlet.ShouldProcess($caller.DisplayName, $step) -and $caller.App) {
    Write-SecretFile 'caller.auto.tfvars.json' ([ordered]@{
            login_url     = $login
            tenant_id     = $tenant
            client_id     = $caller.App['appId']
            client_secret = New-ClientSecret $caller
            scope         = $scope
        })
}

# --- The application access policy ----------------------------------------------------------------

if ($withPolicy -and ($bridge.App -or $WhatIfPreference)) {
    Set-AccessPolicy $(if ($bridge.App) { $bridge.App['appId'] } else { [guid]::Empty })
}

# --- What goes where ------------------------------------------------------------------------------

function Write-Value([string] $Where, [string] $What, [string] $Value) {
    [pscustomobject]@{ Where = $Where; What = $What; Value = $Value }
}

if ($api.App -and $bridge.App -and $caller.App) {
    $parameters = [ordered]@{
        JwtIssuer     = "$login/$tenant/v2.0"
        JwtAudience   = $api.App['appId']
        EntraLoginUrl = $login
        GraphUrl      = "$((Get-MgEnvironment -Name $Environment).GraphEndpoint.TrimEnd('/'))/v1.0"
    }
    Write-Deployment $parameters
    foreach ($parameter in $parameters.Keys) {
        Write-Value 'Stack parameter, in samconfig.toml' $parameter $parameters[$parameter]
    }
    Write-Value 'AWS Secrets Manager, EntraSecret' 'all of the file' (Join-Path $OutputDirectory 'entra.json')
    Write-Value 'Genesys Cloud credential' 'login_url' $login
    Write-Value 'Genesys Cloud credential' 'tenant_id' $tenant
    Write-Value 'Genesys Cloud credential' 'client_id' $caller.App['appId']
    Write-Value 'Genesys Cloud credential' 'client_secret' "in $(Join-Path $OutputDirectory 'caller.auto.tfvars.json')"
    Write-Value 'Genesys Cloud credential' 'scope' $scope
}
