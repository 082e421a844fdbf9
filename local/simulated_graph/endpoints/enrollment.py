"""Enrollment of devices: Windows, Apple, Android."""

from local.simulated_graph.endpoints.model import ASSIGNMENTS, COMMON, Endpoint, Navigation, on_beta, singleton

_APPLE_PROFILES = (
    Navigation("enrollmentProfiles"),
    Navigation("defaultIosEnrollmentProfile", single=True),
    Navigation("defaultMacOsEnrollmentProfile", single=True),
    Navigation("defaultTvOSEnrollmentProfile", single=True),
    Navigation("defaultVisionOSEnrollmentProfile", single=True),
)

ENDPOINTS = (
    Endpoint("deviceManagement/deviceEnrollmentConfigurations", "deviceEnrollmentConfiguration", (ASSIGNMENTS,),
             first_version=1,
             base_properties=COMMON | {"version", "priority", "deviceEnrollmentConfigurationType"}),
    on_beta("deviceManagement/windowsAutopilotDeploymentProfiles", "windowsAutopilotDeploymentProfile",
            (ASSIGNMENTS, Navigation("assignedDevices"), Navigation("domainJoinConfiguration", single=True))),
    Endpoint("deviceManagement/windowsAutopilotDeviceIdentities", "windowsAutopilotDeviceIdentity",
             (Navigation("deploymentProfile", single=True), Navigation("intendedDeploymentProfile", single=True)),
             name="serialNumber", created="", modified=""),
    on_beta("deviceManagement/importedDeviceIdentities", "importedDeviceIdentity", name="importedDeviceIdentifier"),
    on_beta("deviceManagement/depOnboardingSettings", "depOnboardingSetting", _APPLE_PROFILES, name="tokenName",
            created="", page_size=100),
    on_beta("deviceManagement/appleUserInitiatedEnrollmentProfiles", "appleUserInitiatedEnrollmentProfile",
            (ASSIGNMENTS,)),
    singleton("deviceManagement/applePushNotificationCertificate", "applePushNotificationCertificate"),
    on_beta("deviceManagement/androidDeviceOwnerEnrollmentProfiles", "androidDeviceOwnerEnrollmentProfile",
            bodies=("qrCodeContent", "qrCodeImage")),
    on_beta("deviceManagement/androidForWorkEnrollmentProfiles", "androidForWorkEnrollmentProfile",
            bodies=("qrCodeContent", "qrCodeImage")),
    *(on_beta(f"deviceManagement/{name}", entity, singleton=True, created="", modified="")
      for name, entity in (
          ("androidManagedStoreAccountEnterpriseSettings", "androidManagedStoreAccountEnterpriseSettings"),
          ("androidForWorkSettings", "androidForWorkSettings"),
          ("windowsAutopilotSettings", "windowsAutopilotSettings"),
      )),
    on_beta("deviceManagement/chromeOSOnboardingSettings", "chromeOSOnboardingSettings", name="ownerUserPrincipalName",
            created=""),
)  # fmt: skip
