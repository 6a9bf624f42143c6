#Requires -Version 7.4
<#
.SYNOPSIS
Registers what the Teams Bridge needs in Microsoft Entra ID and Microsoft Teams.

.DESCRIPTION
Three registrations, each found again by its tag, so that a second run changes only what differs:

  Teams Bridge API            whose tokens open the bridge's HTTP API. Holds the app roles, and no credential.
  Teams Bridge                what the bridge is on Microsoft Graph: the application permissions of the named features,
                              with admin consent, and a certificate (or a secret).
  Teams Bridge Genesys Cloud  the caller: a secret that lies in Genesys Cloud, and the API's app roles. It is an
                              application of its own, so that whoever reads the secret there gets the bridge's
                              routes and nothing else.

For meetings, a Teams application access policy that lets the bridge act for the organizers.

Nothing secret is printed: credentials are written to files in the output directory. The table at the end says what
goes where. With -WhatIf it reads, says what it would do, and changes nothing.

Needs PowerShell 7.4 and the modules Microsoft.Graph.Authentication and MicrosoftTeams. Whoever runs it needs Privileged
Role Administrator (to consent to Graph permissions) with Application Administrator, or Global Administrator; and Teams
Administrator for the policy.

.PARAMETER TenantId
The tenant, by its id or a domain of it.

.PARAMETER Features
What the bridge is to do. Name all of them in each run; what is granted and no named feature needs is reported, and with
-Prune taken away.

.PARAMETER AllOrganizers
Grants the application access policy to everybody. It takes the place of a policy that is granted to everybody now.

.PARAMETER OrganizerGroupId
Grants it to the members of this group, by its object id, in place of everybody.

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
Takes permissions and app roles away that no named feature needs.

.PARAMETER SkipTeams
Leaves out the application access policy, and prints its commands for a Teams administrator.

.PARAMETER Name
What the registrations' names begin with. Only for their first run; later they are found by their tags.

.PARAMETER OutputDirectory
Where the credentials' files go.

.PARAMETER Environment
The cloud, as Connect-MgGraph names it.

.EXAMPLE
./Register-TeamsBridge.ps1 -TenantId contoso.com -AllOrganizers -WhatIf

.EXAMPLE
./Register-TeamsBridge.ps1 -TenantId contoso.com -Features Meetings, Sms -OrganizerGroupId GROUP-ID
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)]
    [string] $TenantId,

    [ValidateSet('Meetings', 'Calendar', 'Sms', 'Presence', 'Chats', 'Channels', 'Mail')]
    [string[]] $Features = @('Meetings', 'Calendar', 'Sms', 'Presence'),

    [switch] $AllOrganizers,
    [string] $OrganizerGroupId,
    [string] $PolicyName = 'Teams-Bridge',

    [ValidateSet('Certificate', 'Secret')]
    [string] $BridgeCredential = 'Certificate',
    [switch] $NewCredentials,
    [ValidateRange(1, 24)]
    [int] $ValidMonths = 12,

    [switch] $Prune,
    [switch] $SkipTeams,
    [string] $Name = 'Teams Bridge',
    [string] $OutputDirectory = (Join-Path $HOME 'teams-bridge'),

    [ValidateSet('Global', 'USGov', 'USGovDoD')]
    [string] $Environment = 'Global'
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

# What each feature needs on Microsoft Graph. README.md says why.
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

# The registration that a former run made, by its tag. A namesake is somebody else's and is never touched.
function Find-Registration([string] $Tag, [string] $DisplayName) {
    $found = @(Get-GraphCollection '/applications' "tags/any(t:t eq '$Tag')")
    if ($found.Count -gt 1) {
        throw "$($found.Count) applications have the tag $Tag. Delete all but the one in use, or remove their tag."
    }
    if ($found.Count -eq 1) {
        return $found[0]
    }
    if (@(Get-GraphCollection '/applications' "displayName eq '$($DisplayName.Replace("'", "''"))'").Count -gt 0) {
        throw ("An application named '$DisplayName' exists that this script has not made. Choose other names with " +
            "-Name, or give it the tag $Tag in its manifest if it is to be used.")
    }
}

# Registers an application, or changes a registered one to what is wanted; and its service principal.
function Set-Registration([string] $Tag, [string] $DisplayName, [System.Collections.IDictionary] $Wanted) {
    $app = Find-Registration $Tag $DisplayName
    if ($app) {
        if ($PSCmdlet.ShouldProcess($app['displayName'], 'Keep the registration as described')) {
            $null = Invoke-Graph PATCH "/applications/$($app['id'])" $Wanted
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

# What a Teams administrator does, as commands.
function Get-PolicyCommand([string] $AppId) {
    'Connect-MicrosoftTeams'
    "New-CsApplicationAccessPolicy -Identity '$PolicyName' -AppIds '$AppId'"
    if ($OrganizerGroupId) {
        "Grant-CsApplicationAccessPolicy -PolicyName '$PolicyName' -Group '$OrganizerGroupId'"
    }
    else {
        "Grant-CsApplicationAccessPolicy -PolicyName '$PolicyName' -Global"
    }
}

# The application access policy, without which Graph makes no meeting for anybody.
function Set-AccessPolicy([string] $AppId) {
    $policy = @(Get-CsApplicationAccessPolicy | Where-Object { $_.Identity -in $PolicyName, "Tag:$PolicyName" })
    if ($policy.Count -eq 0) {
        if ($PSCmdlet.ShouldProcess($PolicyName, "Create the application access policy for $AppId")) {
            $null = New-CsApplicationAccessPolicy -Identity $PolicyName -AppIds $AppId -Description 'Teams Bridge'
        }
    }
    elseif ($AppId -notin $policy[0].AppIds) {
        if ($PSCmdlet.ShouldProcess($PolicyName, "Add $AppId to the application access policy")) {
            $null = Set-CsApplicationAccessPolicy -Identity $PolicyName -AppIds @{ Add = $AppId }
        }
    }
    if (-not $OrganizerGroupId) {
        if ($PSCmdlet.ShouldProcess($PolicyName, 'Grant the application access policy to everybody')) {
            $null = Grant-CsApplicationAccessPolicy -PolicyName $PolicyName -Global
        }
        return
    }
    $assigned = @(Get-CsGroupPolicyAssignment -GroupId $OrganizerGroupId -PolicyType ApplicationAccessPolicy)
    if ($assigned.Count -gt 0 -and $assigned[0].PolicyName -ne $PolicyName) {
        throw ("The group has the application access policy $($assigned[0].PolicyName). Run this again with " +
            "-PolicyName $($assigned[0].PolicyName): the bridge is added to it.")
    }
    if ($assigned.Count -eq 0 -and
        $PSCmdlet.ShouldProcess($PolicyName, "Grant the application access policy to the group $OrganizerGroupId")) {
        $null = Grant-CsApplicationAccessPolicy -PolicyName $PolicyName -Group $OrganizerGroupId
    }
}

# --- What is asked for, and by whom ---------------------------------------------------------------

$wantedPermissions = @($Features | ForEach-Object { $graphPermissions[$_] } | Select-Object -Unique)
$wantedRoles = @($Features | ForEach-Object { $callerRoles[$_] } | Select-Object -Unique)
$withPolicy = 'Meetings' -in $Features
if ($withPolicy -and -not ($AllOrganizers -xor [bool] $OrganizerGroupId)) {
    throw 'Say who may organize meetings: -AllOrganizers for everybody, or -OrganizerGroupId for a group''s members.'
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

$bridge = Set-Registration 'teams-bridge' $Name @{
    requiredResourceAccess = @(
        if ($wantedPermissions.Count -gt 0) {
            @{
                resourceAppId  = $graphAppId
                resourceAccess = @($wantedPermissions | ForEach-Object { @{ id = $graphRoleIds[$_]; type = 'Role' } })
            }
        }
    )
}
Grant-Role -To $bridge -Resource $graph -RoleIds $graphRoleIds -Wanted $wantedPermissions

$callerAccess = @(
    if ($api.App -and $wantedRoles.Count -gt 0) {
        @{
            resourceAppId  = $api.App['appId']
            resourceAccess = @($wantedRoles | ForEach-Object { @{ id = $apiRoleIds[$_]; type = 'Role' } })
        }
    }
)
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

if ($withPolicy) {
    $appId = if ($bridge.App) { $bridge.App['appId'] } else { 'the new application' }
    if ($SkipTeams) {
        Write-Warning ("The application access policy was left out. A Teams administrator runs:`n" +
            ((Get-PolicyCommand $appId) -join "`n"))
    }
    else {
        try {
            $teams = @{ TenantId = $tenant }
            if ($Environment -ne 'Global') {
                $teams.TeamsEnvironmentName = @{ USGov = 'TeamsGCCH'; USGovDoD = 'TeamsDOD' }[$Environment]
            }
            $null = Connect-MicrosoftTeams @teams
            Set-AccessPolicy $appId
        }
        catch {
            throw ("All but the application access policy is done. It takes the role Teams Administrator; and where " +
                "the two modules do not load side by side, a new session:`n" +
                "$((Get-PolicyCommand $appId) -join "`n")`n$_")
        }
    }
}

# --- What goes where ------------------------------------------------------------------------------

function Write-Value([string] $Where, [string] $What, [string] $Value) {
    [pscustomobject]@{ Where = $Where; What = $What; Value = $Value }
}

if ($api.App -and $bridge.App -and $caller.App) {
    Write-Value 'Stack parameter' 'JwtIssuer' "$login/$tenant/v2.0"
    Write-Value 'Stack parameter' 'JwtAudience' $api.App['appId']
    Write-Value 'Stack parameter' 'EntraLoginUrl' $login
    Write-Value 'AWS Secrets Manager, EntraSecret' 'all of the file' (Join-Path $OutputDirectory 'entra.json')
    Write-Value 'Genesys Cloud credential' 'login_url' $login
    Write-Value 'Genesys Cloud credential' 'tenant_id' $tenant
    Write-Value 'Genesys Cloud credential' 'client_id' $caller.App['appId']
    Write-Value 'Genesys Cloud credential' 'client_secret' "in $(Join-Path $OutputDirectory 'caller.auto.tfvars.json')"
    Write-Value 'Genesys Cloud credential' 'scope' $scope
}
